import { existsSync, rmSync, writeFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { App } from './app.ts'
import { applyBootstrap, createOperator, type Operator } from './bootstrap/apply.ts'
import { readBootstrap } from './bootstrap/plan.ts'
import type { Store } from './core/store.ts'
import type { MadeToken } from './tokens/token-store.ts'

const minuteMs = 60_000
const rootTokenMs = 60 * minuteMs

/** Makes a root token, an orphan; of a chosen value, or of a new one. null: it never expires. */
export function makeRootToken (
  app: App, { displayName, lifeMs, chosenId }: { displayName: string, lifeMs: number | null, chosenId?: string }
): Promise<MadeToken> {
  const nowMs = app.clock.now()
  const mount = app.mounts.find('auth', 'token')
  if (mount === null) throw new Error('the token mount is missing')
  const expiresAtMs = lifeMs === null ? null : nowMs + lifeMs
  return app.tokens.create({
    parent: null,
    kind: 'service',
    path: 'auth/token/root',
    listedAs: 'root',
    mountAccessor: mount.accessor,
    displayName,
    policies: ['root'],
    metadata: null,
    issuedAtMs: nowMs,
    expiresAtMs,
    endsAtMs: expiresAtMs,
    creationTtlSeconds: lifeMs === null ? 0 : lifeMs / 1000,
    explicitMaxTtlSeconds: 0,
    periodSeconds: 0,
    renewable: false,
    usesMax: 0,
    boundCidrs: [],
    orphan: true,
    role: null,
    renewal: null,
    ...(chosenId !== undefined && { chosenId })
  }, nowMs)
}

/** Lets somebody act as an operator for as long as it takes; the token does not outlive that by much. */
export async function asOperator<T> (
  app: App, displayName: string, act: (operator: Operator) => Promise<T>
): Promise<T> {
  const { token, clientToken } = await makeRootToken(app, { displayName, lifeMs: 5 * minuteMs })
  try {
    return await act(createOperator(app.broker.handle, clientToken, () => app.clock.now()))
  } finally {
    await app.revocation.revoke(token.accessor, app.clock.now())
  }
}

/** Applies the folder that CONFIG_DIR names, or in development the example. */
export async function applyConfigDir (app: App, config: Config, store: Store, logger: Logger): Promise<void> {
  const folder = config.configDir ?? (config.development ? exampleFolder : null)
  if (folder === null) return
  const plan = readBootstrap(folder)
  const applied = await asOperator(app, 'bootstrap', (operator) => applyBootstrap(plan, operator, store))
  if (applied) logger.info({ writes: plan.writes.length }, 'the bootstrap was applied')
}

const exampleFolder = new URL('../config/example', import.meta.url).pathname

/**
 * Writes a root token of one hour into the file that ROOT_TOKEN_FILE names, if there is no such
 * file: how an operator gets in at first, or again. Whoever can set this and start the broker has
 * the master key in any case.
 */
export async function writeRootToken (app: App, { rootTokenFile }: Config, logger: Logger): Promise<void> {
  if (rootTokenFile === null || existsSync(rootTokenFile)) return
  const { token, clientToken } = await makeRootToken(app, { displayName: 'root', lifeMs: rootTokenMs })
  try {
    writeFileSync(rootTokenFile, `${clientToken}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    // What was begun is taken back, so that the next start tries again.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') rmSync(rootTokenFile, { force: true })
    await app.revocation.revoke(token.accessor, app.clock.now())
    throw error
  }
  logger.warn({ accessor: token.accessor }, 'a root token of one hour was written to the file of LATCHKEY_ROOT_TOKEN_FILE')
}
