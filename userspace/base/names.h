/* Names of numbers, as all outputs print them. (The names of flow.h's enums are declared there, and live in names.c too.) */
#ifndef FLOWLANE_NAMES_H
#define FLOWLANE_NAMES_H

#include <stdint.h>

#define PROTOCOL_NAME_MAX 16 /* with the terminating zero */

/* The IANA keyword of an IP protocol in lower case ("tcp"; 58 is "icmp6"); NULL where IANA has none: print the number. */
const char *protocol_name(uint8_t protocol);

#endif
