import { spawnSync } from 'node:child_process'

/** The first of these that can run `args`, or null. Debian's own Python comes before others on the path. */
export function findProgram (candidates: readonly string[], args: readonly string[]): string | null {
  return candidates.find((candidate) => spawnSync(candidate, args, { stdio: 'ignore', timeout: 60_000 }).status === 0) ?? null
}
