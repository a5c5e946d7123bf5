import { spawnSync } from 'node:child_process'

/** How each system's package manager installs Redis without a question. */
const INSTALLERS: readonly (readonly [program: string, ...steps: readonly string[][]])[] = [
  ['apt-get', ['update', '-q'], ['install', '-q', '-y', 'redis-server', 'redis-tools']],
  ['apk', ['add', '--no-cache', 'redis']],
  ['dnf', ['install', '-y', 'redis']]
]

let isKnown = false

/**
 * Makes sure that `redis-server` and `redis-cli` can be run, and answers nothing. Missing ones are
 * installed by the system's package manager where this process may do that.
 *
 * @throws Error that says what to run by hand.
 */
export function installRedis (): void {
  if (isKnown || hasRedis()) {
    isKnown = true
    return
  }
  const installer = INSTALLERS.find(([program]) => runs(program, ['--version']))
  if (installer === undefined) throw new Error('install Redis 7 or later by hand')
  const [program, ...steps] = installer
  const byHand = steps.map((step) => `${program} ${step.join(' ')}`).join(' && ')
  if (process.getuid?.() !== 0) throw new Error(`Redis is missing; run as root: ${byHand}`)
  for (const step of steps) {
    const { status, stderr } = spawnSync(program, step, {
      encoding: 'utf8', timeout: 300_000, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    })
    if (status !== 0) throw new Error(`Redis could not be installed by ${byHand}: ${stderr}`)
  }
  if (!hasRedis()) throw new Error(`Redis is still missing after ${byHand}`)
  isKnown = true
}

function hasRedis (): boolean {
  return runs('redis-server', ['--version']) && runs('redis-cli', ['--version'])
}

function runs (program: string, options: readonly string[]): boolean {
  return spawnSync(program, options, { stdio: 'ignore', timeout: 10_000 }).status === 0
}

if (import.meta.main) installRedis()
