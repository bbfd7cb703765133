/* The last packets that were dropped, oldest overwritten first. */
#ifndef FORWARDING_DROP_LOG_H
#define FORWARDING_DROP_LOG_H

#include <stdbool.h>
#include <stdint.h>

struct packet;

enum { DROP_NOTES = 1024, DROP_ANY = 0 };

/* What was known of one; 56 bytes, native order (docs/forwarder.md). */
struct drop_note {
    uint64_t at;                    /* monotonic ns */
    uint32_t vif;                   /* where it came in; all ones: nowhere */
    uint16_t vrf, l3_type, sport, dport, length;    /* ports in host order, 0 none */
    uint8_t reason, proto;
    uint8_t src[16], dst[16];       /* IPv4 in the first four bytes; zero when unknown */
};

struct drop_log {
    struct drop_note notes[DROP_NOTES];
    uint64_t written, cleared;      /* ever, and at the last clear */
    uint8_t only;                   /* one reason, or DROP_ANY of those that lose packets */
    bool brief;                     /* without what costs a look into the packet */
};

void drop_log_add(struct drop_log *log, struct packet *p, uint32_t vif, int reason, uint64_t now);
/* Copies notes from the `skip`-th oldest on; how many were copied. */
uint32_t drop_log_read(const struct drop_log *log, uint32_t skip, struct drop_note *out,
                       uint32_t max);

#endif
