/* SPDX-License-Identifier: MIT */
/* Positions in the outbox as texts. */
#include "bus/postgres_position.h"

#include <stdio.h>

#include "bus/bus.h"
#include "support.h"

typedef struct texts {
    const char *seen;
    const char *next; /* NULL: none */
    const char *expected;
} texts;

static fq_status
make(const texts *texts, fq_rcbuf **pposition)
{
    fq_postgres_snapshot seen, next;
    fq_rcbuf *span = NULL;
    *pposition = NULL;
    fq_postgres_snapshot_init(&seen);
    fq_postgres_snapshot_init(&next);
    fq_status status = fq_postgres_snapshot_read(&seen,
                                                 fq_str_of(texts->seen));
    if (status == FQ_OK && texts->next != NULL)
        status = fq_postgres_snapshot_read(&next, fq_str_of(texts->next));
    if (status == FQ_OK)
        status = fq_postgres_position_span(
            0x1234, &seen, texts->next == NULL ? NULL : &next, &span);
    if (status == FQ_OK && texts->next == NULL)
        *pposition = fq_rcbuf_ref(span);
    else if (status == FQ_OK)
        status = fq_postgres_position_make(fq_rcbuf_str(span), 255, pposition);
    fq_rcbuf_unref(span);
    fq_postgres_snapshot_fini(&seen);
    fq_postgres_snapshot_fini(&next);
    return status;
}

static fq_status
body_round_trip(void *arg)
{
    const texts *texts = arg;
    fq_rcbuf *text;
    fq_status status = make(texts, &text);
    if (status != FQ_OK)
        return status;
    assert_string_equal(text->bytes, texts->expected);
    fq_postgres_position position;
    status = fq_postgres_position_read(&position, 0x1234, fq_rcbuf_str(text));
    if (status == FQ_OK) {
        fq_buf buf = FQ_BUF_INIT;
        fq_postgres_snapshot_write(&position.seen, &buf);
        status = fq_buf_status(&buf);
        assert_true(status != FQ_OK
                    || fq_str_eq(fq_buf_str(&buf), fq_str_of(texts->seen)));
        assert_int_equal(position.is_between, texts->next != NULL);
        assert_int_equal(position.id, texts->next == NULL ? 0 : 255);
        fq_buf_fini(&buf);
    }
    fq_postgres_position_fini(&position);
    fq_rcbuf_unref(text);
    return status;
}

static void
test_postgres_position_reads_what_it_makes(void **state)
{
    (void)state;
    static texts cases[] = {
        {"736:736:", NULL, "p1.0000000000001234.2e0"},
        {"5:16:5,7,15", NULL, "p1.0000000000001234.10-1-8-2"},
        {"5:16:5,7,15", "7:32:7", "p1.0000000000001234.10-1-8-2.20-19.ff"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        fq_test_body(body_round_trip, &cases[i]);
}

static void
test_postgres_position_refuses_anything_else(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "p1",
        "p1.0000000000001234.",
        "p1.0000000000001235.2e0",
        "p2.0000000000001234.2e0",
        "p1.0000000000001234.2E0",
        "p1.0000000000001234.02e0",
        "p1.0000000000001234.2e0-",
        "p1.0000000000001234.2e0-0",
        "p1.0000000000001234.2e0-2e0",
        "p1.0000000000001234.2e0-2e1",
        "p1.0000000000001234.2e0.",
        "p1.0000000000001234.2e0.2e1",
        "p1.0000000000001234.2e0.2e1.",
        "p1.0000000000001234.2e0.2e1.1 ",
        "p1.0000000000001234.2e1.2e0.1",
        "p1.0000000000001234.2e0.2e1.ffffffffffffffff",
        "p1.0000000000001234.11111111111111111",
        "p1.0000000000001234.0",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        fq_postgres_position position;
        assert_int_equal(
            fq_postgres_position_read(&position, 0x1234, fq_str_of(bad[i])),
            FQ_ERR_INVALID);
    }
    char text[FQ_BUS_POSITION_MAX + 64] = "p1.0000000000001234.fffffff";
    while (strlen(text) + 2 < FQ_BUS_POSITION_MAX)
        strcat(text, "-1");
    fq_postgres_position position;
    assert_int_equal(
        fq_postgres_position_read(&position, 0x1234, fq_str_of(text)), FQ_OK);
    fq_postgres_position_fini(&position);
    strcat(text, "-1-1");
    assert_int_equal(
        fq_postgres_position_read(&position, 0x1234, fq_str_of(text)),
        FQ_ERR_INVALID);
}

static void
test_postgres_position_is_bounded(void **state)
{
    (void)state;
    char span[FQ_BUS_POSITION_MAX + 1];
    memset(span, 'x', sizeof(span));
    fq_rcbuf *position;
    assert_int_equal(
        fq_postgres_position_make(fq_str_make(span, FQ_BUS_POSITION_MAX - 2),
                                  1, &position),
        FQ_OK);
    assert_int_equal(position->len, FQ_BUS_POSITION_MAX);
    fq_rcbuf_unref(position);
    assert_int_equal(
        fq_postgres_position_make(fq_str_make(span, FQ_BUS_POSITION_MAX - 1),
                                  1, &position),
        FQ_ERR_LIMIT);
    assert_null(position);
}

static void
test_postgres_position_tells_epochs_apart(void **state)
{
    (void)state;
    assert_true(fq_postgres_position_tag("1/a/00000001")
                != fq_postgres_position_tag("1/a/00000002"));
}

/* In their order, each pair told apart. */
static void
test_postgres_position_puts_them_in_an_order(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "p1.0000000000001234.8",          "p1.0000000000001234.a-3-1",
        "p1.0000000000001234.a-2",        "p1.0000000000001234.a-2.c-1.5",
        "p1.0000000000001234.a-2.c-1.ff", "p1.0000000000001234.a-2.c-1.100",
        "p1.0000000000001234.a-2.c.3",    "p1.0000000000001234.a-3",
        "p1.0000000000001234.a",          "p1.0000000000001234.10",
    };
    const size_t n = sizeof(texts) / sizeof(texts[0]);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++) {
            int order = fq_postgres_position_compare(fq_str_of(texts[i]),
                                                     fq_str_of(texts[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

static void
test_postgres_position_knows_the_look_it_is_in(void **state)
{
    (void)state;
    const fq_str span = FQ_STR("p1.0000000000001234.a-2.c-1");
    static const struct {
        const char *position;
        bool is_in;
        uint64_t id;
    } cases[] = {
        {"p1.0000000000001234.a-2", true, 0},
        {"p1.0000000000001234.a-2.c-1.0", true, 0},
        {"p1.0000000000001234.a-2.c-1.1f", true, 31},
        {"p1.0000000000001234.a", false, 0},
        {"p1.0000000000001234.c-1", false, 0},
        {"p1.0000000000001234.a-2.c-1", false, 0},
        {"p1.0000000000001234.a-2.c-1-1.5", false, 0},
        {"p1.0000000000001234.a-2.c-1.5.5", false, 0},
        {"p1.0000000000001235.a-2", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t id;
        assert_int_equal(fq_postgres_position_is_in(
                             fq_str_of(cases[i].position), span, &id),
                         cases[i].is_in);
        if (cases[i].is_in)
            assert_int_equal(id, cases[i].id);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_postgres_position_reads_what_it_makes),
        FQ_TEST(test_postgres_position_refuses_anything_else),
        FQ_TEST(test_postgres_position_is_bounded),
        FQ_TEST(test_postgres_position_tells_epochs_apart),
        FQ_TEST(test_postgres_position_puts_them_in_an_order),
        FQ_TEST(test_postgres_position_knows_the_look_it_is_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
