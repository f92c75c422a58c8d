/* SPDX-License-Identifier: MIT */
/* The intrusive ring. */
#include "base/list.h"

#include "support.h"

typedef struct item {
    int number;
    fq_list node;
} item;

/* Appends the numbers of |list| to a decimal number, so that 1, 2, 3 gives
 * 123, walking both ways to see that they agree. */
static int
list_digits(fq_list *list)
{
    int digits = 0, backwards = 0, unit = 1;
    FQ_LIST_FOREACH(node, list)
    digits = digits * 10 + FQ_CONTAINER_OF(node, item, node)->number;
    for (fq_list *node = list->prev; node != list; node = node->prev) {
        backwards += unit * FQ_CONTAINER_OF(node, item, node)->number;
        unit *= 10;
    }
    assert_int_equal(digits, backwards);
    return digits;
}

static void
items_init(item *items, int n, fq_list *list)
{
    fq_list_init(list);
    for (int i = 0; i < n; i++) {
        items[i].number = i + 1;
        fq_list_init(&items[i].node);
        fq_list_push_back(list, &items[i].node);
    }
}

static void
test_list_keeps_the_order(void **state)
{
    (void)state;
    item items[3];
    fq_list list;
    items_init(items, 0, &list);
    assert_true(fq_list_is_empty(&list));
    assert_null(fq_list_pop_front(&list));
    items_init(items, 3, &list);
    assert_false(fq_list_is_empty(&list));
    assert_int_equal(list_digits(&list), 123);
    assert_ptr_equal(fq_list_pop_front(&list), &items[0].node);
    assert_int_equal(list_digits(&list), 23);
}

static void
test_list_remove_twice_is_harmless(void **state)
{
    (void)state;
    item items[3];
    fq_list list;
    items_init(items, 3, &list);
    fq_list_remove(&items[1].node);
    fq_list_remove(&items[1].node);
    assert_int_equal(list_digits(&list), 13);
    fq_list_push_back(&list, &items[1].node);
    assert_int_equal(list_digits(&list), 132);
}

static void
test_list_foreach_allows_removal(void **state)
{
    (void)state;
    item items[5];
    fq_list list;
    items_init(items, 5, &list);
    FQ_LIST_FOREACH(node, &list)
    {
        if (FQ_CONTAINER_OF(node, item, node)->number % 2 == 0)
            fq_list_remove(node);
    }
    assert_int_equal(list_digits(&list), 135);
}

static void
test_list_splice_moves_all(void **state)
{
    (void)state;
    item a[2], b[2];
    fq_list to, from;
    items_init(a, 2, &to);
    items_init(b, 2, &from);
    fq_list_splice(&to, &from);
    assert_int_equal(list_digits(&to), 1212);
    assert_true(fq_list_is_empty(&from));
    fq_list_splice(&to, &from);
    assert_int_equal(list_digits(&to), 1212);
    fq_list_splice(&from, &to);
    assert_int_equal(list_digits(&from), 1212);
    assert_true(fq_list_is_empty(&to));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        FQ_TEST(test_list_keeps_the_order),
        FQ_TEST(test_list_remove_twice_is_harmless),
        FQ_TEST(test_list_foreach_allows_removal),
        FQ_TEST(test_list_splice_moves_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
