/* datagram_test.h - what the tests of endpoints share. */
#ifndef COSY_TESTS_DATAGRAM_TEST_H
#define COSY_TESTS_DATAGRAM_TEST_H

#include "io_test.h"

#include <fcntl.h>

/* A literal as bytes to be sent. */
#define BYTES(literal) ((void *)(uintptr_t)(literal))

/* An endpoint at a port of the kernel's choice. */
__attribute__((unused)) static cosy_datagram *bound(const char *host)
{
    struct cosy_address here;
    cosy_datagram *endpoint = NULL;
    ck_assert_int_eq(cosy_address_parse(&here, host, 0), 0);
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .local = &here), 0);
    return endpoint;
}

/* One that is connected to it. */
__attribute__((unused)) static cosy_datagram *connected(cosy_datagram *server)
{
    struct cosy_address there;
    cosy_datagram *endpoint = NULL;
    ck_assert_int_eq(cosy_datagram_sockname(server, &there), 0);
    ck_assert_int_eq(cosy_open_datagram(&endpoint, .remote = &there), 0);
    return endpoint;
}

#endif
