/* What a vif has beside what every packet needs: mirroring and fat flows. */
#ifndef FORWARDING_VIF_EXTRAS_H
#define FORWARDING_VIF_EXTRAS_H

#include "dp.h"

enum { META_MAX = 1024, FAT_RULES_MAX = 256, FAT_EXCLUDES_MAX = 256 };

/* Addresses of 4 bytes (rest 0) or 16, the first `bits` of which count. */
struct fat_prefix { uint8_t address[16], bits, keep; };    /* keep: bits left in the key */
struct fat_rule {
    uint16_t port;
    uint8_t proto;
    uint8_t ignore;             /* FAT_SOURCE or FAT_DESTINATION */
    uint8_t family;             /* of the prefixes, 0: none */
    bool by_source, by_destination;
    struct fat_prefix source, destination;
};
struct fat_exclude { uint8_t family, bits, address[16]; };
enum { FAT_SOURCE = 1, FAT_DESTINATION = 2 };

struct vif_extras {
    uint8_t mirror;             /* id, MIRROR_NONE */
    uint16_t in_length, out_length;
    uint8_t in_meta[META_MAX], out_meta[META_MAX];
    uint32_t rules, excludes;
    struct fat_rule rule[FAT_RULES_MAX];
    struct fat_exclude exclude[FAT_EXCLUDES_MAX];
};

/* The extras of a vif, made if needed; NULL: no such vif, no memory. */
struct vif_extras *vif_extras(struct datapath *dp, uint32_t idx);

#endif
