/* SPDX-License-Identifier: MIT */
/* X-Forwarded-For: whose word is taken, and how far back. */
#include "protocol/forwarded.h"

#include <stdio.h>

#include "support.h"

#define N_NETWORKS 2

static void
make_proxies(fq_proxies *proxies, fq_network networks[N_NETWORKS])
{
    *proxies = (fq_proxies){.networks = networks, .n_networks = N_NETWORKS};
    assert_int_equal(fq_network_parse(FQ_STR_LIT("10.0.0.0/8"), &networks[0]),
                     FQ_OK);
    assert_int_equal(fq_network_parse(FQ_STR_LIT("fd00::/8"), &networks[1]),
                     FQ_OK);
}

static void
test_forwarded_stops_at_the_first_stranger(void **state)
{
    (void)state;
    /* NULL: not known. */
    const char *const rows[][2] = {
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7, 10.0.0.1", "192.0.2.7"},
        {"192.0.2.7,10.0.0.1,fd00::1", "192.0.2.7"},
        {"1.1.1.1, 192.0.2.7 , 10.0.0.1", "192.0.2.7"},
        {"1.1.1.1,192.0.2.7:4711", "192.0.2.7"},
        {"\t192.0.2.7 ", "192.0.2.7"},
        {"[2001:db8::1]:80,10.0.0.1", "2001:db8::1"},
        /* All of them are ours: the first is the client. */
        {"10.0.0.9, 10.0.0.1", "10.0.0.9"},
        /* What cannot be read hides what is before it. */
        {"192.0.2.7, unknown, 10.0.0.1", "10.0.0.1"},
        {"192.0.2.7, , 10.0.0.1", "10.0.0.1"},
        {"192.0.2.7,", NULL},
        {"unknown", NULL},
        {"", NULL},
        {",", NULL},
    };
    fq_proxies proxies;
    fq_network networks[N_NETWORKS];
    make_proxies(&proxies, networks);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fq_address client;
        char text[FQ_ADDRESS_TEXT_MAX];
        bool is_known = fq_forwarded_client(&proxies, fq_str_of(rows[i][0]),
                                            &client);
        assert_int_equal(is_known, rows[i][1] != NULL);
        if (!is_known)
            continue;
        fq_address_write(&client, text);
        assert_string_equal(text, rows[i][1]);
    }
    fq_address client;
    assert_false(fq_forwarded_client(&proxies, fq_str_make(NULL, 0), &client));
}

static void
test_forwarded_reads_so_many_hops(void **state)
{
    (void)state;
    fq_proxies proxies = {.has_all = true};
    char header[100 * 11 + 1] = "";
    for (int i = 0; i < 100; i++) {
        char entry[16];
        snprintf(entry, sizeof(entry), "%s10.0.0.%d", i > 0 ? "," : "", i);
        strcat(header, entry);
    }
    fq_address client;
    char text[FQ_ADDRESS_TEXT_MAX];
    assert_true(fq_forwarded_client(&proxies, fq_str_of(header), &client));
    fq_address_write(&client, text);
    assert_string_equal(text, "10.0.0.68");
}

static void
test_proxies_are_who_is_named(void **state)
{
    (void)state;
    fq_proxies proxies;
    fq_network networks[N_NETWORKS];
    make_proxies(&proxies, networks);
    fq_address ours, other;
    assert_int_equal(fq_address_parse(FQ_STR_LIT("fd12::1"), &ours), FQ_OK);
    assert_int_equal(fq_address_parse(FQ_STR_LIT("127.0.0.1"), &other), FQ_OK);
    assert_true(fq_proxies_have(&proxies, &ours));
    assert_false(fq_proxies_have(&proxies, &other));
    assert_false(fq_proxies_have(&proxies, NULL));
    proxies.has_local = true;
    assert_true(fq_proxies_have(&proxies, NULL));
    proxies.has_all = true;
    assert_true(fq_proxies_have(&proxies, &other));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_forwarded_stops_at_the_first_stranger),
        FQ_TEST(test_forwarded_reads_so_many_hops),
        FQ_TEST(test_proxies_are_who_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
