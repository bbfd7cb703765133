/* pkt0 as a tap: a frame a system call, many a call from Python (facts kernel-datapath.md). */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "packet.h"

enum { OUTER_TYPE = 12, TYPE_IP4 = 0x0800 };
static const uint8_t OWN_MAC[6] = {0x00, 0x00, 0x5e, 0x00, 0x01, 0x00};

/* Whether the datapath sent it: the host's own stack talks on the tap too. */
static bool trapped(const uint8_t *frame, size_t length)
{
    return length > PKT0_ENCAP && !memcmp(frame, OWN_MAC, sizeof OWN_MAC)
           && (frame[OUTER_TYPE] << 8 | frame[OUTER_TYPE + 1]) == TYPE_IP4;
}

unsigned tap_read(int fd, uint8_t *slots, uint32_t *lengths, unsigned capacity,
                  struct tap_reads *reads)
{
    unsigned count = 0;
    *reads = (struct tap_reads){0};
    for (unsigned i = 0; i < capacity; i++) {
        uint8_t *slot = slots + (size_t)count * PKT0_MAX_FRAME;
        ssize_t length = read(fd, slot, PKT0_MAX_FRAME);
        if (length < 0) {
            reads->error = errno == EAGAIN || errno == EINTR ? 0 : errno;
            break;
        }
        reads->made++;
        if (trapped(slot, (size_t)length))
            lengths[count++] = (uint32_t)length;
        else
            reads->foreign++;
    }
    return count;
}
