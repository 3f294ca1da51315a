/*
 * flowlane doctor: what of live capture will work on this machine and these interfaces, and the command that mends the rest.
 *
 *   doctor.c             options, order of work, exit code
 *   doctor_system.c      gathers the machine's facts        ─▶ doctor_judge.c   facts to findings: pure
 *   doctor_trial.c       tries what cannot be asked         ─▶   "    _interface.c
 *   doctor_owner.c       who holds an XDP program
 *   doctor_report.c      findings to text and JSON
 */
#ifndef FLOWLANE_DOCTOR_H
#define FLOWLANE_DOCTOR_H

/* argv[0] is "doctor". The exit code: 0: no problem; 1: wrong usage; 2: a problem was found, or the doctor failed. */
int doctor_run(int argc, char **argv);

#endif
