/* SPDX-License-Identifier: MIT */
/* Addresses and networks: what is one, and what is in one. */
#include "base/address.h"

#include "support.h"

static void
test_address_reads_what_servers_write(void **state)
{
    (void)state;
    const char *const rows[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:8080", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:192.0.2.1]:80", "192.0.2.1"},
        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:65535", "2001:db8::1"},
        {"fe80::1%eth0", "fe80::1"},
        {"[fe80::1%25eth0]:1", "fe80::1"},
        {"::", "::"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fq_address address;
        char text[FQ_ADDRESS_TEXT_MAX];
        assert_int_equal(fq_address_parse(fq_str_of(rows[i][0]), &address),
                         FQ_OK);
        fq_address_write(&address, text);
        assert_string_equal(text, rows[i][1]);
        assert_int_equal(fq_address_is_v4(&address),
                         strchr(rows[i][1], ':') == NULL);
    }
}

static void
test_address_refuses_everything_else(void **state)
{
    (void)state;
    const fq_str texts[] = {
        {NULL, 0},
        FQ_STR(""),
        FQ_STR("unknown"),
        FQ_STR("_hidden"),
        FQ_STR("192.0.2"),
        FQ_STR("192.0.2.256"),
        FQ_STR("192.0.2.1 "),
        FQ_STR("192.0.2.1:"),
        FQ_STR("192.0.2.1:123456"),
        FQ_STR("192.0.2.1:80a"),
        FQ_STR("192.0.2.1%eth0"),
        FQ_STR("192.0.2.1\0"),
        FQ_STR("[]"),
        FQ_STR("["),
        FQ_STR("[::1"),
        FQ_STR("[::1]x"),
        FQ_STR("[::1]80"),
        FQ_STR("::1::2"),
        FQ_STR("%"),
        FQ_STR(":"),
        FQ_STR("2001:db8:1111:2222:3333:4444:5555:6666:7777:8888:9999:0:0"),
    };
    fq_address address;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(fq_address_parse(texts[i], &address), FQ_ERR_INVALID);
}

static void
test_address_of_a_site(void **state)
{
    (void)state;
    const struct {
        const char *a, *b;
        bool is_same;
    } rows[] = {
        {"2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
        {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fq_address a, b;
        assert_int_equal(fq_address_parse(fq_str_of(rows[i].a), &a), FQ_OK);
        assert_int_equal(fq_address_parse(fq_str_of(rows[i].b), &b), FQ_OK);
        a = fq_address_site(&a);
        b = fq_address_site(&b);
        assert_int_equal(fq_address_eq(&a, &b), rows[i].is_same);
    }
}

static void
test_network_has_its_addresses(void **state)
{
    (void)state;
    const struct {
        const char *network, *address;
        bool is_in;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.1.2.3/8", "10.9.9.9", true},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.255", true},
        {"0.0.0.0/0", "203.0.113.7", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "203.0.113.7", true},
        {"192.0.2.1", "192.0.2.1", true},
        {"192.0.2.1", "192.0.2.0", false},
        {"192.0.2.1/32", "::ffff:192.0.2.1", true},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
        {"::1/128", "::1", true},
        {"::1/128", "::", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fq_network network;
        fq_address address;
        assert_int_equal(
            fq_network_parse(fq_str_of(rows[i].network), &network), FQ_OK);
        assert_int_equal(
            fq_address_parse(fq_str_of(rows[i].address), &address), FQ_OK);
        assert_int_equal(fq_network_has(&network, &address), rows[i].is_in);
    }
    const char *const wrong[] = {
        "",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/-1",
        "::1/129",
        "10.0.0.0/0008",
        "/8",
        "10.0.0/8",
        "10.0.0.1:80",
        "[::1]/128",
        "host/8",
        "10.0.0.0/8/8",
    };
    fq_network network;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(fq_network_parse(fq_str_of(wrong[i]), &network),
                         FQ_ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_address_reads_what_servers_write),
        FQ_TEST(test_address_refuses_everything_else),
        FQ_TEST(test_address_of_a_site),
        FQ_TEST(test_network_has_its_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
