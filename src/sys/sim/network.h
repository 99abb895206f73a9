/* network.h - the doors of the simulated network for tests: what character it has, and which hosts there are.
 *
 * All of it belongs to one simulated kernel and goes with it. Without any of it the network is quick, whole and
 * faultless, and knows the machine itself only: localhost, 127.0.0.0/8, ::1, and 192.0.2.1 and 2001:db8::1, which stand
 * for its address to others. All calls belong to the loop's thread.
 */
#ifndef COSY_SYS_SIM_NETWORK_H
#define COSY_SYS_SIM_NETWORK_H

#include "../sys.h"

/* What happens by chance is drawn from the kernel's seed. Chances are in a million calls. */
struct cosy_sim_character {
    cosy_ns latency; /* one way, of what goes by IP; Unix sockets and pipes take no time */
    cosy_ns jitter;  /* up to so much more, drawn for each piece; the bytes of a connection stay in order */
    bool torn_reads; /* a read of a stream or pipe gives a part of what is there */
    bool short_writes;
    unsigned again_per_million; /* -EAGAIN though the call could have been served; an edge follows */
    unsigned alarm_per_million; /* edges that are false alarms, for each change of anything */
    unsigned reset_per_million; /* TCP connections that break, for each read and write */
    unsigned loss_per_million;  /* UDP datagrams that get lost */
    int most_descriptors;       /* -EMFILE beyond; 0: no limit */
};

enum cosy_sim_behaviour {
    COSY_SIM_ANSWERS,          /* as the sockets of the instance do; -ECONNREFUSED where nobody listens */
    COSY_SIM_REFUSES,          /* -ECONNREFUSED, whoever listens */
    COSY_SIM_BLACK_HOLE,       /* no answer: -ETIMEDOUT after 127 seconds, as Linux gives up; datagrams are lost */
    COSY_SIM_NET_UNREACHABLE,  /* -ENETUNREACH from the call itself */
    COSY_SIM_HOST_UNREACHABLE, /* -EHOSTUNREACH, when the answer has come back */
};

struct cosy_sim_host {
    const char *name;    /* NULL: only the address */
    const char *address; /* numeric, IPv4 or IPv6; NULL: a name without any */
    enum cosy_sim_behaviour behaviour;
    cosy_ns delay;         /* to and from it, beside the latency; one way */
    uint64_t reset_after;  /* connections to it break when so many bytes have gone, both ways together; 0: never */
    cosy_ns lookup_delay;  /* of the name: the resolver takes so long; the latest word counts */
    int lookup_error;      /* of the name: negative; 0: found. The latest word counts */
};

void cosy_sim_set_character(struct cosy_sys *sys, const struct cosy_sim_character *character);
/* Adds an address to a name, behind those it has, or tells anew how the address behaves. -EINVAL: no numeric address;
 * -ENOMEM. */
int cosy_sim_add_host(struct cosy_sys *sys, const struct cosy_sim_host *host);

/* When the next thing under way arrives; COSY_NEVER: nothing is under way. */
cosy_ns cosy_sim_next_delivery(struct cosy_sys *sys);

/* Virtual descriptors of sockets and pipes that were open when their kernel was closed, in this process so far. */
long cosy_sim_descriptors_lost(void);

#endif
