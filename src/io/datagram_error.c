/* datagram_error.c - what the network reports of datagrams that were sent. */
#include "datagram.h"

#include <time.h>

#include <linux/errqueue.h>
#include <string.h>

#include "../base/heap.h"

int cosy_datagram_want_reports(cosy_datagram *endpoint)
{
    int result = cosy_datagram_set(endpoint, IPPROTO_IP, IP_RECVERR, 1);
    if (result == 0 && endpoint->family == AF_INET6)
        result = cosy_datagram_set(endpoint, IPPROTO_IPV6, IPV6_RECVERR, 1);
    if (result < 0)
        return cosy_fail(-result, "datagram endpoint: .recv_errors: %s", cosy_strerror(result));
    endpoint->reports = cosy_heap_zalloc(sizeof *endpoint->reports);
    return endpoint->reports ? 0 : -ENOMEM;
}

static void note_offender(struct cosy_address *offender, const struct sockaddr *address)
{
    offender->size = address->sa_family == AF_INET    ? sizeof offender->ip4
                     : address->sa_family == AF_INET6 ? sizeof offender->ip6
                                                      : 0;
    memcpy(&offender->storage, address, offender->size);
}

/* False: the message is not a report. */
static bool note_report(cosy_datagram *endpoint, struct cosy_datagram_error *report)
{
    struct msghdr *header = &endpoint->header;
    for (struct cmsghdr *control = CMSG_FIRSTHDR(header); control; control = CMSG_NXTHDR(header, control)) {
        bool ip4 = control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_RECVERR;
        if (!ip4 && !(control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_RECVERR))
            continue;
        const struct sock_extended_err *error = (const void *)CMSG_DATA(control);
        report->error = -(int)error->ee_errno;
        report->origin = error->ee_origin;
        report->type = error->ee_type;
        report->code = error->ee_code;
        report->info = error->ee_info;
        note_offender(&report->offender, SO_EE_OFFENDER(error));
        return true;
    }
    return false;
}

/* 1, 0: there is none, or an error. */
static int ask_kernel(cosy_datagram *endpoint, struct cosy_datagram_error *report)
{
    struct cosy_sys *sys = endpoint->loop->sys;
    for (;;) {
        *report = (struct cosy_datagram_error){0};
        endpoint->part = (struct iovec){.iov_base = report->payload, .iov_len = sizeof report->payload};
        endpoint->header = (struct msghdr){.msg_name = &report->to.storage,
                                           .msg_namelen = sizeof report->to.storage,
                                           .msg_iov = &endpoint->part,
                                           .msg_iovlen = 1,
                                           .msg_control = endpoint->control,
                                           .msg_controllen = sizeof endpoint->control};
        int length = sys->net->recvmsg(sys, endpoint->port.fd, &endpoint->header, MSG_ERRQUEUE);
        if (length == -EINTR)
            continue;
        if (length < 0)
            return length == -EAGAIN ? 0 : length;
        report->to.size = endpoint->header.msg_namelen;
        report->payload_size = (size_t)length < sizeof report->payload ? (size_t)length : sizeof report->payload;
        if (note_report(endpoint, report))
            return 1;
    }
}

enum { PLACES = COSY_DATAGRAM_REPORTS + 1 };

/* The kernel forgets the error that a call would give when its report is taken. */
int cosy_datagram_take_reports(cosy_datagram *endpoint)
{
    int latest = 0;
    struct cosy_datagram_reports *reports = endpoint->reports;
    for (;;) {
        struct cosy_datagram_error *place = &reports->of[(reports->first + reports->count) % PLACES];
        if (ask_kernel(endpoint, place) != 1)
            return latest;
        latest = place->error;
        reports->count++;
        if (reports->count == PLACES) {
            reports->first = (reports->first + 1) % PLACES;
            reports->count--;
            endpoint->stats.reports_dropped++;
        }
    }
}

int cosy_datagram_recv_error(cosy_datagram *endpoint, struct cosy_datagram_error *ret_error)
{
    int result = cosy_datagram_usable(endpoint);
    if (result < 0)
        return result;
    struct cosy_datagram_reports *reports = endpoint->reports;
    if (!reports)
        return -ENOTSUP;
    if (reports->count == 0)
        return ask_kernel(endpoint, ret_error);
    *ret_error = reports->of[reports->first];
    reports->first = (reports->first + 1) % PLACES;
    reports->count--;
    return 1;
}
