/* Traps of flows into an agent, and when the datapath has both directions of each.
 *
 * Stands in for the datapath's end of pkt0 alone: the entries of the flows are held in a real
 * datapath's table, put there through its control socket, and the agent is told of them as if a
 * packet had made each. An entry with an action and a partner is one whose both directions were
 * acknowledged: that is read in the shared table. So no packet moves but those on pkt0.
 *
 * trap AGENT_DIR DATAPATH_DIR VIF VRF NEXTHOP SRC_IP DST_IP SRC_MAC RATE COUNT FIRST_FLOW
 * prints JSON; RATE 0: as fast as WINDOW flows at a time go. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "sandesh_codec.h"

enum {
    BATCH = 32, PKT0 = 44, ETH = 14, IP = 20, UDP = 8, DATA = 32, HEADER = 24, REPLY = 124,
    FRAME = PKT0 + ETH + IP + UDP + DATA, REQUEST_MAX = 384, CREATE = 64, WINDOW = 4096,
    CODE_AT = HEADER + 25, INDEX_AT = REPLY - 30, GEN_AT = REPLY - 2, TRAP_FLOW = 6,
    ENTRY = 256, ENTRY_REVERSE = 84, ENTRY_ACTION = 92, HOLD = 1, FORWARD = 2,
    AHEAD = 512, SOURCES = 60000, FIRST_SOURCE = 1024, FIRST_TARGET = 10000, TARGETS = 50000, PATIENCE_S = 5,
};

struct flow { uint32_t index; uint8_t gen_id; uint64_t sent, done; };

static uint32_t vif, vrf, nexthop, count, first_flow;
static uint8_t source[4], target[4], mac[6];
static struct flow *flows;
static const uint8_t *table;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
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
    struct sockaddr_un own = address_of(directory, "dpdk_pkt0");
    struct sockaddr_un agent = address_of(directory, "agent_pkt0");
    int size = 16 << 20, fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    unlink(own.sun_path);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) < 0
        || connect(fd, (struct sockaddr *)&agent, sizeof agent) < 0)
        fail(agent.sun_path);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    return fd;
}

static int open_control(const char *directory)
{
    struct sockaddr_un peer = address_of(directory, "dpdk_netlink");
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&peer, sizeof peer) < 0)
        fail(peer.sun_path);
    return fd;
}

static void map_table(const char *directory)
{
    char path[256];
    struct stat said;
    snprintf(path, sizeof path, "%s/flow.shmem", directory);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &said) < 0)
        fail(path);
    table = mmap(NULL, (size_t)said.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
    if (table == MAP_FAILED)
        fail(path);
}

static uint16_t source_port(uint32_t flow)
{
    return htons((uint16_t)(FIRST_SOURCE + (first_flow + flow) % SOURCES));
}

static uint16_t target_port(uint32_t flow)
{
    return htons((uint16_t)(FIRST_TARGET + (first_flow + flow) / SOURCES % TARGETS));
}

static uint8_t *put_request(uint8_t *out, uint32_t flow)
{
    vr_flow_req_t held = {
        .fr_index = -1, .fr_action = HOLD, .fr_flags = 1, .fr_rindex = -1, .fr_family = AF_INET,
        .fr_flow_proto = 17, .fr_flow_sport = source_port(flow), .fr_flow_dport = target_port(flow),
        .fr_flow_nh_id = nexthop, .fr_flow_vrf = (uint16_t)vrf,
        .fr_mir_id = UINT16_MAX, .fr_sec_mir_id = UINT16_MAX, .fr_qos_id = UINT16_MAX,
        .fr_ecmp_nh_index = UINT32_MAX, .fr_underlay_ecmp_index = -1,
    };
    uint32_t ends[2];
    memcpy(&ends[0], source, 4);
    memcpy(&ends[1], target, 4);
    held.fr_flow_sip_l = ends[0];
    held.fr_flow_dip_l = ends[1];
    uint8_t *end = vr_flow_req_write(&held, out, out + HEADER);
    struct { uint32_t size; uint16_t type, flags; uint32_t seq, pid; uint8_t cmd, version;
             uint16_t reserved, length, attribute; } header = {
        .size = (uint32_t)(end - out), .type = 24, .flags = 1, .seq = flow, .cmd = 1,
        .length = (uint16_t)(end - out - HEADER + 4), .attribute = 1,
    };
    memcpy(out, &header, HEADER);
    return end;
}

/* Entries that wait for the agent, as packets would have made them. */
static void hold_all(int control)
{
    static uint8_t out[CREATE * REQUEST_MAX], replies[CREATE * REPLY];
    for (uint32_t first = 0; first < count; first += CREATE) {
        uint32_t some = count - first < CREATE ? count - first : CREATE;
        uint8_t *at = out;
        for (uint32_t i = 0; i < some; i++)
            at = put_request(at, first + i);
        if (send(control, out, (size_t)(at - out), MSG_NOSIGNAL) != at - out
            || recv(control, replies, some * (size_t)REPLY, MSG_WAITALL) != some * REPLY)
            fail("holding flows");
        for (uint32_t i = 0; i < some; i++) {
            const uint8_t *reply = replies + i * (size_t)REPLY;
            if (sandesh_get32(reply + CODE_AT)) {
                fprintf(stderr, "flow %u was not held\n", first + i);
                exit(1);
            }
            flows[first + i] = (struct flow){
                .index = sandesh_get32(reply + INDEX_AT), .gen_id = reply[GEN_AT]};
        }
    }
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value & 0xffff);
}

static void fill(uint8_t *out, uint32_t flow)
{
    uint16_t sport = source_port(flow), dport = target_port(flow);
    uint8_t *header = out + ETH, *eth = out + PKT0, *ip = eth + ETH, *udp = ip + IP;
    memset(out, 0, FRAME);
    put16(out + 12, 0x0800);
    put16(header, vif);
    put16(header + 2, vrf);
    put16(header + 4, TRAP_FLOW);
    put32(header + 6, flows[flow].index);
    put32(header + 10, nexthop);
    header[26] = flows[flow].gen_id;
    memcpy(eth + 6, mac, 6);
    put16(eth + 12, 0x0800);
    ip[0] = 0x45;
    put16(ip + 2, IP + UDP + DATA);
    ip[8] = 64;
    ip[9] = 17;
    memcpy(ip + 12, source, 4);
    memcpy(ip + 16, target, 4);
    memcpy(udp, &sport, 2);
    memcpy(udp + 2, &dport, 2);
    put16(udp + 4, UDP + DATA);
}

static uint32_t send_some(int packets, uint32_t first, uint32_t some)
{
    static uint8_t frames[BATCH][FRAME];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    some = some < BATCH ? some : BATCH;
    for (uint32_t i = 0; i < some; i++) {
        fill(frames[i], first + i);
        parts[i] = (struct iovec){frames[i], FRAME};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        flows[first + i].sent = now_ns();
    }
    int sent = sendmmsg(packets, messages, some, MSG_NOSIGNAL);
    if (sent < 0)
        fail("agent_pkt0");
    return (uint32_t)sent;
}

static bool is_set_up(uint32_t flow)
{
    const uint8_t *entry = table + (size_t)flows[flow].index * ENTRY;
    uint16_t action = __atomic_load_n((const uint16_t *)(entry + ENTRY_ACTION), __ATOMIC_ACQUIRE);
    uint32_t reverse = __atomic_load_n((const uint32_t *)(entry + ENTRY_REVERSE), __ATOMIC_RELAXED);
    return action == FORWARD && reverse != UINT32_MAX;
}

/* Traps go as they are due, and flows are looked at that were not set up so far. */
static uint32_t drive(int packets, double rate, uint64_t *took)
{
    uint32_t sent = 0, oldest = 0, done = 0;
    uint64_t began = now_ns(), last = began, at = began;
    while (done < count && (at = now_ns()) - last < PATIENCE_S * 1000000000ull) {
        uint32_t due = rate > 0 ? (uint32_t)((double)(at - began) * rate / 1e9) + 1 : count;
        uint32_t room = WINDOW - (sent - done), before = done, went = 0;
        due = due < count ? due : count;
        if (sent < due && room)
            sent += went = send_some(packets, sent, due - sent < room ? due - sent : room);
        at = now_ns();
        for (uint32_t i = oldest; i < sent && i < oldest + AHEAD; i++)
            if (!flows[i].done && is_set_up(i)) {
                flows[i].done = at;
                done++;
            }
        while (oldest < sent && flows[oldest].done)
            oldest++;
        if (done > before || went)
            last = at;
        struct timespec pause = {.tv_nsec = 20000};
        if (done == before && !went)
            nanosleep(&pause, NULL);
        if (done > before)
            *took = at - began;
    }
    return done;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void tell(double rate, uint32_t done, uint64_t took)
{
    uint64_t *delays = calloc(count, sizeof *delays);
    uint32_t kept = 0;
    for (uint32_t i = 0; delays && i < count; i++)
        if (flows[i].done)
            delays[kept++] = flows[i].done - flows[i].sent;
    if (!kept)
        fail("no flow was set up");
    qsort(delays, kept, sizeof *delays, by_size);
    printf("{\"rate_wanted\": %.0f, \"sent\": %u, \"set_up\": %u, \"set_up_per_second\": %.0f, "
           "\"us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}}\n",
           rate, count, done, done / ((double)took / 1e9), (double)delays[kept / 2] / 1e3,
           (double)delays[(uint32_t)((kept - 1) * 0.99)] / 1e3, (double)delays[kept - 1] / 1e3);
}

int main(int words_count, char **words)
{
    if (words_count != 12) {
        fprintf(stderr, "usage: trap AGENT_DIR DATAPATH_DIR VIF VRF NEXTHOP SRC_IP DST_IP SRC_MAC "
                        "RATE COUNT FIRST_FLOW\n");
        return 2;
    }
    unsigned part[6];
    vif = (uint32_t)strtoul(words[3], NULL, 10);
    vrf = (uint32_t)strtoul(words[4], NULL, 10);
    nexthop = (uint32_t)strtoul(words[5], NULL, 10);
    double rate = strtod(words[9], NULL);
    count = (uint32_t)strtoul(words[10], NULL, 10);
    first_flow = (uint32_t)strtoul(words[11], NULL, 10);
    bool read = sscanf(words[8], "%x:%x:%x:%x:%x:%x", part, part + 1, part + 2, part + 3, part + 4,
                       part + 5) == 6;
    for (int i = 0; read && i < 6; i++)
        mac[i] = (uint8_t)part[i];
    flows = calloc(count + 1, sizeof *flows);
    if (!read || !count || !flows || inet_pton(AF_INET, words[6], source) != 1
        || inet_pton(AF_INET, words[7], target) != 1) {
        fprintf(stderr, "%s, %s, %s: no addresses\n", words[6], words[7], words[8]);
        return 2;
    }
    int packets = open_packets(words[1]), control = open_control(words[2]);
    uint64_t took = 0;
    map_table(words[2]);
    hold_all(control);
    uint32_t done = drive(packets, rate, &took);
    tell(rate, done, took);
    return 0;
}
