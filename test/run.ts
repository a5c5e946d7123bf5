import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { installRedis } from './helpers/install-redis.ts'

/**
 * Everything that has to hold: lint, types, then all tests. `npm test -- test/store` runs the
 * tests below a folder only, without lint and types.
 */
const chosen = process.argv.slice(2).map((place) => isFolder(place) ? `${place.replace(/\/$/, '')}/**/*.test.ts` : place)

function isFolder (place: string): boolean {
  return statSync(place, { throwIfNoEntry: false })?.isDirectory() ?? false
}

function run (command: string, ...parameters: string[]): void {
  const { status, error } = spawnSync(command, parameters, { stdio: 'inherit' })
  if (error !== undefined) throw error
  if (status !== 0) process.exit(status ?? 1)
}

installRedis()
if (chosen.length === 0) {
  run('eslint', '.')
  run('tsc', '-p', '.')
}
run('tap', 'build')
run('tap', 'run', ...chosen)
