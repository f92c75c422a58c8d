/* SPDX-License-Identifier: MIT */
/* CRC-32 against values of zlib. */
#include "base/crc32.h"

#include "support.h"

static void
test_crc32_is_that_of_zlib(void **state)
{
    (void)state;
    assert_int_equal(fq_crc32(FQ_STR_LIT("")), 0);
    assert_int_equal(fq_crc32(FQ_STR_LIT("123456789")), 0xCBF43926);
    assert_int_equal(fq_crc32(FQ_STR_LIT("orders:42")), 0x0CFF44C5);
    assert_int_equal(fq_crc32(FQ_STR_LIT("gr\xC3\xBC\xC3\x9F")), 0x0FFA612A);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {FQ_TEST(test_crc32_is_that_of_zlib)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
