import { spawnSync } from 'node:child_process'

/** Python, for terminals of a test's own; null: there is none. */
export const python = findProgram(['python3', '/usr/bin/python3'], ['-c', 'import pty'])
export const noPython = python === null && 'there is no Python here to make a terminal'

/** The first of these that can run `args`, or null. Debian's own Python comes before others on the path. */
export function findProgram (candidates: readonly string[], args: readonly string[]): string | null {
  return candidates.find((candidate) => spawnSync(candidate, args, { stdio: 'ignore', timeout: 60_000 }).status === 0) ?? null
}
