/* Findings, collected and printed. Private to the doctor. */
#ifndef FLOWLANE_DOCTOR_REPORT_H
#define FLOWLANE_DOCTOR_REPORT_H

#include <stdio.h>

#include "nic.h"

enum doctor_verdict { DOCTOR_OK, DOCTOR_NOTE, DOCTOR_PROBLEM, DOCTOR_CANNOT_TELL, DOCTOR_VERDICTS };

#define DOCTOR_SYSTEM "system" /* the section of what is no interface's */

struct doctor_finding {
	char section[IF_NAMESIZE]; /* DOCTOR_SYSTEM, or the interface */
	char check[IF_NAMESIZE];   /* a short name, an interface: "zero_copy" */
	enum doctor_verdict verdict;
	char text[320];
	char fix[256]; /* a command, or what to do; "" nothing to be done */
};

struct doctor_report {
	struct doctor_finding *findings;
	unsigned count, room;
	unsigned verdicts[DOCTOR_VERDICTS];
	struct nic_info *interfaces; /* those that could be looked at */
	unsigned interfaces_count;
	bool incomplete; /* out of memory */
};

/* The finding is the caller's to refine (doctor_fix) until the next is added. */
void doctor_add(struct doctor_report *report, const char *section, const char *check, enum doctor_verdict verdict,
	const char *format, ...) __attribute__((format(printf, 5, 6)));
/* What to do about the finding added last. */
void doctor_fix(struct doctor_report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));
void doctor_add_interface(struct doctor_report *report, const struct nic_info *info);
void doctor_report_free(struct doctor_report *report);

void doctor_print_text(const struct doctor_report *report, FILE *file);
void doctor_print_json(const struct doctor_report *report, FILE *file);

#endif
