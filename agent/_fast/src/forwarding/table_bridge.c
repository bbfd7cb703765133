/* The shared bridge table: (VRF, MAC) to nexthop and label (facts shared-memory.md 7). */
#include <errno.h>

#include "dp.h"

enum { BE_MAC = 21, BE_VRF = 27, BE_PACKETS = 37, BE_LABEL = 45, BE_NH = 49, BE_FLAGS = 53,
       BE_KEY_LEN = 8 };

static void bridge_key(uint8_t key[BE_KEY_LEN], uint32_t vrf, const uint8_t *mac)
{
    memcpy(key, mac, 6);
    store16(key + 6, (uint16_t)vrf);
}

/* MAC and VRF lie side by side in the entry, in the key's order. */
static int matches(const unsigned char *entry, const unsigned char *key, size_t length)
{
    return (shm_load16(entry + BE_FLAGS) & BRF_VALID) && memcmp(entry + BE_MAC, key, length) == 0;
}

int64_t bridge_find(struct datapath *dp, uint32_t vrf, const uint8_t *mac)
{
    uint8_t key[BE_KEY_LEN];
    bridge_key(key, vrf, mac);
    return shm_find(dp->bridge.base, dp->bridge.entry_size, dp->bridge.main, dp->bridge.total, key,
                    sizeof key, matches);
}

void bridge_read(struct datapath *dp, uint32_t index, struct bridge_entry *out)
{
    const uint8_t *entry = hash_entry(&dp->bridge, index);
    out->index = index;
    memcpy(out->mac, entry + BE_MAC, 6);
    out->vrf = shm_load16(entry + BE_VRF);
    out->packets = shm_load64(entry + BE_PACKETS);
    out->label = shm_load32(entry + BE_LABEL);
    out->nh = shm_load32(entry + BE_NH);
    out->flags = shm_load16(entry + BE_FLAGS);
}

static int64_t bridge_insert(struct datapath *dp, uint32_t vrf, const uint8_t *mac, uint32_t nh,
                             uint32_t label, uint16_t flags)
{
    uint8_t key[BE_KEY_LEN];
    bridge_key(key, vrf, mac);
    int64_t index = hash_take(&dp->bridge, key, sizeof key);
    if (index < 0)
        return -1;
    uint8_t *entry = hash_entry(&dp->bridge, (uint32_t)index);
    memcpy(entry + BE_MAC, key, sizeof key);
    store64(entry + BE_PACKETS, 0);
    store32(entry + BE_LABEL, label);
    store32(entry + BE_NH, nh);
    store16(entry + BE_FLAGS, flags);
    hash_publish(&dp->bridge, (uint32_t)index, key, sizeof key);
    return index;
}

int bridge_add(struct datapath *dp, uint32_t vrf, const uint8_t *mac, uint32_t nh, uint32_t label,
               uint16_t flags)
{
    if (mac_is_zero(mac) || vrf >= dp->max_vrfs)
        return -EINVAL;
    if (!dp_nexthop(dp, nh))
        return -ENOENT;
    flags = (uint16_t)((flags & ~BRF_NEW) | BRF_VALID);
    int64_t index = bridge_find(dp, vrf, mac);
    if (index < 0)
        return bridge_insert(dp, vrf, mac, nh, label, flags) < 0 ? -ENOMEM : 0;
    uint8_t *entry = hash_entry(&dp->bridge, (uint32_t)index);
    store32(entry + BE_LABEL, label);
    store32(entry + BE_NH, nh);
    publish_barrier();
    store16(entry + BE_FLAGS, flags);
    return 0;
}

int bridge_delete(struct datapath *dp, uint32_t vrf, const uint8_t *mac)
{
    if (mac_is_zero(mac))
        return -EINVAL;
    int64_t index = bridge_find(dp, vrf, mac);
    if (index < 0)
        return -ENOENT;
    uint8_t *entry = hash_entry(&dp->bridge, (uint32_t)index);
    store16(entry + BE_FLAGS, 0);
    publish_barrier();
    store32(entry + BE_NH, UINT32_MAX);
    store64(entry + BE_PACKETS, 0);
    hash_remove(&dp->bridge, (uint32_t)index);
    return 0;
}

int64_t bridge_learn(struct datapath *dp, uint32_t vrf, const uint8_t *mac)
{
    return bridge_insert(dp, vrf, mac, 0, 0, BRF_VALID | BRF_NEW);
}

void bridge_set_flags(struct datapath *dp, uint32_t index, uint16_t flags)
{
    store16(hash_entry(&dp->bridge, index) + BE_FLAGS, flags);
}

void bridge_count(struct datapath *dp, uint32_t index)
{
    uint8_t *packets = hash_entry(&dp->bridge, index) + BE_PACKETS;
    store64(packets, shm_load64(packets) + 1);
}

/* Where the dump goes on behind a MAC: its entry, or its bucket if it has gone. */
static uint32_t behind(struct datapath *dp, uint32_t vrf, const uint8_t *marker)
{
    if (!marker || mac_is_zero(marker))
        return 0;
    int64_t index = bridge_find(dp, vrf, marker);
    if (index >= 0)
        return (uint32_t)index + 1;
    uint8_t key[BE_KEY_LEN];
    bridge_key(key, vrf, marker);
    return (shm_hash(key, sizeof key) % dp->bridge.main) & ~(uint32_t)(SHM_BUCKET - 1);
}

uint32_t bridge_dump(struct datapath *dp, uint32_t vrf, const uint8_t *marker,
                     struct bridge_entry *out, uint32_t max)
{
    uint32_t count = 0;
    for (uint32_t at = behind(dp, vrf, marker); at < dp->bridge.total && count < max; at++) {
        const uint8_t *entry = hash_entry(&dp->bridge, at);
        if (!(entry[SHM_HENTRY_FLAGS] & SHM_HENTRY_VALID) || shm_load16(entry + BE_VRF) != vrf)
            continue;
        if (shm_load16(entry + BE_FLAGS) & BRF_VALID)
            bridge_read(dp, at, &out[count++]);
    }
    return count;
}
