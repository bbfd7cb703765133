/* The least that can answer for flows: every trapped first packet gets the same pair.
 *
 * Binds RUN_DIR/agent_pkt0 and talks to RUN_DIR/dpdk_netlink, as an agent does: reads traps in
 * batches, asks for the reverse flow of each with the held entry as its partner, reads the
 * answers, asks for the forward flows, reads the answers. It looks nothing up and remembers
 * nothing, so what it reaches is what the sockets and the datapath allow.
 *
 * answer RUN_DIR REVERSE_NEXTHOP: prints "ready PID", and figures as JSON at SIGTERM or SIGINT. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sandesh_codec.h"

enum {
    BATCH = 64, FRAME = 2048, PKT0 = 44, HEADER = 24, REPLY = 124, REQUEST_MAX = 384,
    CODE_AT = HEADER + 25, INDEX_AT = REPLY - 30, GEN_AT = REPLY - 2, TRAP_FLOW = 6,
    ACTIVE = 1, REVERSE_VALID = 0x1000, FORWARD = 2, CONTROL_BUFFER = 4 << 20,
};

static volatile sig_atomic_t ended;
static struct { unsigned long traps, pairs, refused, others, batches; } figures;

static void end(int number) { (void)number; ended = 1; }

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_un address_of(const char *directory, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof address.sun_path) {
        fprintf(stderr, "%s: too long for a socket\n", directory);
        exit(1);
    }
    return address;
}

static int open_packets(const char *directory)
{
    struct sockaddr_un own = address_of(directory, "agent_pkt0");
    int size = CONTROL_BUFFER, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(own.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0)
        fail("agent_pkt0");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    struct timeval wait = {.tv_usec = 100000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

static int open_control(const char *directory)
{
    struct sockaddr_un peer = address_of(directory, "dpdk_netlink");
    int size = CONTROL_BUFFER, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof peer) < 0)
        fail("dpdk_netlink");
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    return fd;
}

static uint16_t raw16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, 2);
    return value;
}

static uint32_t raw32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return value;
}

/* A trapped UDP or TCP packet over IPv4 as the forward flow, yet without its partner. */
static bool read_trap(const uint8_t *data, size_t size, vr_flow_req_t *flow)
{
    const uint8_t *header = data + 14, *ip = data + PKT0 + 14;
    if (size < PKT0 + 14 + 24 || sandesh_get16(header + 4) != TRAP_FLOW || ip[0] != 0x45)
        return false;
    memset(flow, 0, sizeof *flow);
    flow->fr_index = (int32_t)sandesh_get32(header + 6);
    flow->fr_gen_id = (int8_t)header[26];
    flow->fr_flow_nh_id = sandesh_get32(header + 10);
    flow->fr_flow_vrf = sandesh_get16(header + 2);
    flow->fr_family = AF_INET;
    flow->fr_flow_proto = (int8_t)ip[9];
    flow->fr_flow_sip_l = raw32(ip + 12);
    flow->fr_flow_dip_l = raw32(ip + 16);
    flow->fr_flow_sport = raw16(ip + 20);
    flow->fr_flow_dport = raw16(ip + 22);
    flow->fr_flags = ACTIVE | REVERSE_VALID;
    flow->fr_action = FORWARD;
    flow->fr_rindex = -1;
    flow->fr_mir_id = flow->fr_sec_mir_id = flow->fr_qos_id = UINT16_MAX;
    flow->fr_ecmp_nh_index = UINT32_MAX;
    flow->fr_underlay_ecmp_index = -1;
    return true;
}

static vr_flow_req_t reverse_of(const vr_flow_req_t *flow, uint32_t nexthop)
{
    vr_flow_req_t reverse = *flow;
    reverse.fr_index = -1;
    reverse.fr_gen_id = 0;
    reverse.fr_rindex = flow->fr_index;
    reverse.fr_flow_nh_id = nexthop;
    reverse.fr_flow_sip_l = flow->fr_flow_dip_l;
    reverse.fr_flow_dip_l = flow->fr_flow_sip_l;
    reverse.fr_flow_sport = flow->fr_flow_dport;
    reverse.fr_flow_dport = flow->fr_flow_sport;
    return reverse;
}

static uint8_t *put_request(uint8_t *out, const vr_flow_req_t *flow, uint32_t seq)
{
    uint8_t *end = vr_flow_req_write(flow, out, out + HEADER);
    uint32_t size = (uint32_t)(end - out);
    struct { uint32_t size; uint16_t type, flags; uint32_t seq, pid; uint8_t cmd, version;
             uint16_t reserved, length, attribute; } header = {
        .size = size, .type = 24, .flags = 1, .seq = seq, .cmd = 1,
        .length = (uint16_t)(size - HEADER + 4), .attribute = 1,
    };
    memcpy(out, &header, HEADER);
    return end;
}

static void exchange(int control, const uint8_t *out, size_t size, uint8_t *replies, size_t wanted)
{
    for (ssize_t done; size; out += done, size -= (size_t)done)
        if ((done = send(control, out, size, MSG_NOSIGNAL)) <= 0)
            fail("sending requests");
    for (ssize_t done; wanted; replies += done, wanted -= (size_t)done)
        if ((done = recv(control, replies, wanted, 0)) <= 0)
            fail("reading answers");
}

/* Both directions of each flow of a batch. */
static void answer(int control, vr_flow_req_t *flows, uint32_t count, uint32_t nexthop)
{
    static uint8_t out[BATCH * REQUEST_MAX], replies[BATCH * REPLY];
    uint8_t *at = out;
    uint32_t left = 0;
    for (uint32_t i = 0; i < count; i++) {
        vr_flow_req_t reverse = reverse_of(&flows[i], nexthop);
        at = put_request(at, &reverse, i);
    }
    exchange(control, out, (size_t)(at - out), replies, count * (size_t)REPLY);
    at = out;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *reply = replies + i * (size_t)REPLY;
        if (sandesh_get32(reply + CODE_AT)) {
            figures.refused++;
            continue;
        }
        flows[i].fr_rindex = (int32_t)sandesh_get32(reply + INDEX_AT);
        at = put_request(at, &flows[i], i);
        left++;
    }
    exchange(control, out, (size_t)(at - out), replies, left * (size_t)REPLY);
    for (uint32_t i = 0; i < left; i++) {
        bool refused = sandesh_get32(replies + i * (size_t)REPLY + CODE_AT);
        figures.refused += refused;
        figures.pairs += !refused;
    }
}

static uint32_t read_traps(int packets, vr_flow_req_t *flows)
{
    static uint8_t frames[BATCH][FRAME];
    static struct mmsghdr messages[BATCH];
    static struct iovec parts[BATCH];
    uint32_t count = 0;
    for (int i = 0; i < BATCH; i++) {
        parts[i] = (struct iovec){frames[i], FRAME};
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
    }
    int got = recvmmsg(packets, messages, BATCH, MSG_WAITFORONE, NULL);
    for (int i = 0; i < got; i++) {
        bool taken = read_trap(frames[i], messages[i].msg_len, &flows[count]);
        count += taken;
        figures.others += !taken;
    }
    figures.traps += count;
    figures.batches += count > 0;
    return count;
}

static void tell(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
               + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"traps\": %lu, \"pairs\": %lu, \"refused\": %lu, \"others\": %lu, "
           "\"batches\": %lu, \"cpu_s\": %.3f}\n", figures.traps, figures.pairs, figures.refused,
           figures.others, figures.batches, cpu);
}

int main(int count, char **words)
{
    if (count != 3) {
        fprintf(stderr, "usage: answer RUN_DIR REVERSE_NEXTHOP\n");
        return 2;
    }
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    int packets = open_packets(words[1]), control = open_control(words[1]);
    uint32_t nexthop = (uint32_t)strtoul(words[2], NULL, 10);
    struct sockaddr_un datapath = address_of(words[1], "dpdk_pkt0");
    bool paired = false;
    printf("ready %d\n", (int)getpid());
    fflush(stdout);
    while (!ended) {
        vr_flow_req_t flows[BATCH];
        /* Between ends connected to each other the kernel's short queue limit does not hold. */
        paired = paired || connect(packets, (struct sockaddr *)&datapath, sizeof datapath) == 0;
        uint32_t traps = read_traps(packets, flows);
        if (traps)
            answer(control, flows, traps, nexthop);
    }
    tell();
    return 0;
}
