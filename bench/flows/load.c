/* First packets of flows that nobody has seen: how many get through, how much later.
 *
 * Sends UDP packets over IPv4 out of one interface at a given rate, each with ports of its own,
 * and takes them from another one behind the router under test. Then a second packet of some of
 * the flows that got through, at a rate that is a tenth: what the way takes without set-up.
 * OUT and IN are interfaces, of this network namespace or, as NAMESPACE:INTERFACE, of another one
 * that has a name; the time of arrival is the kernel's.
 *
 * load OUT IN DST_MAC SRC_MAC SRC_IP DST_IP RATE COUNT FIRST_FLOW: prints JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    BATCH = 32, LENGTH = 14 + 20 + 8 + 32, IP_AT = 14, UDP_AT = 34, MARK_AT = 42, SOURCES = 60000,
    FIRST_SOURCE = 1024, FIRST_TARGET = 10000, TARGETS = 50000, SECONDS_SAMPLE = 20000,
    BUFFER = 64 << 20, QUIET_MS = 1500,
};
static const uint32_t MAGIC = 0x464c4f57;

struct mark { uint32_t magic, run, flow, second; uint64_t sent; } __attribute__((packed));

static int out_fd, in_fd;
static uint8_t frame[LENGTH];
static uint32_t count, first_flow, run;
static uint32_t *delays[2];         /* nanoseconds by flow, 0: not there */
static _Atomic uint64_t arrived[2];
static _Atomic uint64_t first_arrival, last_arrival;
static atomic_bool stop;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now(clockid_t clock)
{
    struct timespec at;
    clock_gettime(clock, &at);
    return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

/* Go where the interface is; its name without the namespace. */
static const char *enter(const char *name)
{
    const char *colon = strchr(name, ':');
    char path[256];
    if (!colon)
        return name;
    snprintf(path, sizeof path, "/run/netns/%.*s", (int)(colon - name), name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
        fail(path);
    close(fd);
    return colon + 1;
}

static int open_link(const char *where, int protocol)
{
    const char *name = enter(where);
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(protocol)};
    address.sll_ifindex = (int)if_nametoindex(name);
    int size = BUFFER, on = 1, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 || !address.sll_ifindex || bind(fd, (struct sockaddr *)&address, sizeof address))
        fail(name);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
    struct timeval wait = {.tv_usec = 50000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return fd;
}

static void read_mac(const char *text, uint8_t *mac)
{
    unsigned part[6];
    if (sscanf(text, "%x:%x:%x:%x:%x:%x", part, part + 1, part + 2, part + 3, part + 4,
               part + 5) != 6) {
        fprintf(stderr, "%s is no MAC address\n", text);
        exit(2);
    }
    for (int i = 0; i < 6; i++)
        mac[i] = (uint8_t)part[i];
}

static uint16_t checksum(const uint8_t *at, size_t length)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < length; i += 2)
        sum += (uint32_t)at[i] << 8 | at[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void make_frame(char **words)
{
    read_mac(words[3], frame);
    read_mac(words[4], frame + 6);
    put16(frame + 12, 0x0800);
    uint8_t *ip = frame + IP_AT;
    ip[0] = 0x45;
    put16(ip + 2, LENGTH - IP_AT);
    ip[8] = 64;
    ip[9] = 17;
    if (inet_pton(AF_INET, words[5], ip + 12) != 1 || inet_pton(AF_INET, words[6], ip + 16) != 1) {
        fprintf(stderr, "%s, %s: two IPv4 addresses are needed\n", words[5], words[6]);
        exit(2);
    }
    put16(ip + 10, checksum(ip, 20));
    put16(frame + UDP_AT + 4, LENGTH - UDP_AT);
}

static void fill(uint8_t *out, uint32_t flow, bool second)
{
    uint32_t number = first_flow + flow;
    struct mark mark = {MAGIC, run, flow, second, now(CLOCK_REALTIME)};
    memcpy(out, frame, LENGTH);
    put16(out + UDP_AT, FIRST_SOURCE + number % SOURCES);
    put16(out + UDP_AT + 2, FIRST_TARGET + number / SOURCES % TARGETS);
    memcpy(out + MARK_AT, &mark, sizeof mark);
}

/* Packets that are due by now go together, so that the rate holds whatever the sleep took. */
static double send_all(uint32_t total, double rate, bool second, const uint32_t *flows)
{
    static uint8_t frames[BATCH][LENGTH];
    struct mmsghdr messages[BATCH] = {0};
    struct iovec parts[BATCH];
    uint64_t began = now(CLOCK_MONOTONIC);
    for (uint32_t done = 0; done < total;) {
        uint64_t passed = now(CLOCK_MONOTONIC) - began;
        uint32_t due = (uint32_t)((double)passed * rate / 1e9) + 1, ready = 0;
        for (; ready < BATCH && done + ready < due && done + ready < total; ready++) {
            fill(frames[ready], flows ? flows[done + ready] : done + ready, second);
            parts[ready] = (struct iovec){frames[ready], LENGTH};
            messages[ready].msg_hdr.msg_iov = &parts[ready];
            messages[ready].msg_hdr.msg_iovlen = 1;
        }
        int sent = ready ? sendmmsg(out_fd, messages, ready, 0) : 0;
        if (sent < 0)
            fail("sending");
        done += (uint32_t)sent;
        struct timespec pause = {.tv_nsec = 30000};
        if (done >= due)
            nanosleep(&pause, NULL);
    }
    return (double)(now(CLOCK_MONOTONIC) - began) / 1e9;
}

static void take(const uint8_t *data, size_t size, struct msghdr *message)
{
    struct mark mark;
    struct timespec at = {0};
    if (size < LENGTH)
        return;
    memcpy(&mark, data + MARK_AT, sizeof mark);
    if (mark.magic != MAGIC || mark.run != run || mark.flow >= count || mark.second > 1)
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS)
            memcpy(&at, CMSG_DATA(c), sizeof at);
    uint64_t came = (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
    uint64_t delay = came > mark.sent ? came - mark.sent : 1;
    if (delays[mark.second][mark.flow])
        return;
    delays[mark.second][mark.flow] = delay > UINT32_MAX ? UINT32_MAX : (uint32_t)delay;
    atomic_fetch_add(&arrived[mark.second], 1);
    if (!mark.second) {
        uint64_t none = 0;
        atomic_compare_exchange_strong(&first_arrival, &none, came);
        atomic_store(&last_arrival, came);
    }
}

static void *receive(void *unused)
{
    static uint8_t frames[BATCH][2048];
    static char control[BATCH][128];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    while (!atomic_load(&stop)) {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){frames[i], sizeof frames[i]};
            messages[i].msg_hdr = (struct msghdr){
                .msg_iov = &parts[i], .msg_iovlen = 1,
                .msg_control = control[i], .msg_controllen = sizeof control[i],
            };
        }
        int got = recvmmsg(in_fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++)
            take(frames[i], messages[i].msg_len, &messages[i].msg_hdr);
    }
    return unused;
}

/* Until nothing has come for a while. */
static void settle(bool second)
{
    uint64_t before;
    do {
        before = atomic_load(&arrived[second]);
        usleep(QUIET_MS * 1000);
    } while (atomic_load(&arrived[second]) != before);
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the delays there are to the front; how many. */
static uint32_t sorted(uint32_t *values)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++)
        if (values[i])
            values[kept++] = values[i];
    qsort(values, kept, sizeof *values, by_size);
    return kept;
}

static double part_us(const uint32_t *values, uint32_t kept, double part)
{
    return kept ? values[(uint32_t)((kept - 1) * part)] / 1e3 : 0;
}

static uint32_t choose_seconds(uint32_t *flows)
{
    uint32_t chosen = 0, step = count / SECONDS_SAMPLE + 1;
    for (uint32_t i = 0; i < count; i += step)
        if (delays[0][i])
            flows[chosen++] = i;
    return chosen;
}

static void tell(double rate, double took)
{
    uint32_t first = sorted(delays[0]), second = sorted(delays[1]);
    double window = (double)(atomic_load(&last_arrival) - atomic_load(&first_arrival)) / 1e9;
    double base = part_us(delays[1], second, 0.5);
    printf("{\"rate_wanted\": %.0f, \"rate_sent\": %.0f, \"sent\": %u, \"arrived\": %u, "
           "\"arrived_per_second\": %.0f, \"first_us\": {\"p50\": %.1f, \"p99\": %.1f, "
           "\"max\": %.1f}, \"second_us\": {\"p50\": %.1f, \"p99\": %.1f}, "
           "\"extra_us\": {\"p50\": %.1f, \"p99\": %.1f}}\n",
           rate, count / took, count, first, window > 0 ? first / window : 0,
           part_us(delays[0], first, 0.5), part_us(delays[0], first, 0.99),
           part_us(delays[0], first, 1), base, part_us(delays[1], second, 0.99),
           part_us(delays[0], first, 0.5) - base, part_us(delays[0], first, 0.99) - base);
}

int main(int words_count, char **words)
{
    pthread_t receiver;
    if (words_count != 10) {
        fprintf(stderr, "usage: load OUT IN DST_MAC SRC_MAC SRC_IP DST_IP RATE COUNT FIRST_FLOW\n");
        return 2;
    }
    double rate = strtod(words[7], NULL);
    count = (uint32_t)strtoul(words[8], NULL, 10);
    first_flow = (uint32_t)strtoul(words[9], NULL, 10);
    run = (uint32_t)now(CLOCK_REALTIME);
    make_frame(words);
    uint32_t *seconds = calloc(SECONDS_SAMPLE + 1, sizeof *seconds);
    for (int i = 0; i < 2; i++)
        delays[i] = calloc(count + 1, sizeof *delays[i]);
    if (rate <= 0 || !count || !seconds || !delays[0] || !delays[1]) {
        fprintf(stderr, "RATE and COUNT must be above 0\n");
        return 2;
    }
    out_fd = open_link(words[1], 0);
    in_fd = open_link(words[2], ETH_P_ALL);
    pthread_create(&receiver, NULL, receive, NULL);
    double took = send_all(count, rate, false, NULL);
    settle(false);
    uint32_t again = choose_seconds(seconds);
    send_all(again, rate / 10 > 1000 ? rate / 10 : 1000, true, seconds);
    settle(true);
    atomic_store(&stop, true);
    pthread_join(receiver, NULL);
    tell(rate, took);
    return 0;
}
