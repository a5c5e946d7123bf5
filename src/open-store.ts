import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Logger } from 'pino'
import type { Config } from '../config/config.ts'
import type { Store } from './core/store.ts'
import { openStoreClock, type StoreClock } from './store/clock.ts'
import type { Keyring } from './store/keyring.ts'
import { masterKeyFile, masterKeyVariable, type KeySealer } from './store/master-key.ts'
import { openRedisStore } from './store/redis.ts'
import { openSealedStore } from './store/sealed-store.ts'
import { openSqliteStore, type SqliteStore } from './store/sqlite.ts'

/** The store as the broker works on it, behind the barrier. */
export interface OpenStore {
  readonly store: Store
  readonly keyring: Keyring
  readonly clock: StoreClock
  readonly storageType: 'sqlite' | 'redis'
  /** Settings of the store that put data at risk, each a public sentence; none in production. */
  readonly risks: readonly string[]
  /** Whether the store still holds this cluster; one that came back empty must not go unnoticed (FLT-024). */
  isThere (): Promise<boolean>
  /** Reads the whole store for damage, once, after serving began. Answers what it found. */
  check (): Promise<readonly string[]>
}

/**
 * Opens the store, its keyring and its clock as the settings say. The data folder remembers which
 * cluster this is, so that an emptied store is not taken for a new one.
 *
 * @throws Error in plain words, naming the setting to look at.
 */
export async function openStore (config: Config, environment: NodeJS.ProcessEnv, logger: Logger): Promise<OpenStore> {
  const dataDir = path.resolve(config.dataDir ?? '')
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const location = config.store ?? 'sqlite'
  const sqlite = location === 'sqlite' ? openSqliteStore({ location: path.join(dataDir, 'latchkey.db') }) : null
  const store: Store | SqliteStore = sqlite ?? await openRedisStore({
    url: location,
    onLinkError: (error) => logger.warn({ failure: error.name }, 'the link to Redis broke')
  })
  try {
    const risks = await refuseRisks(store, config, logger)
    const nameFile = path.join(dataDir, 'cluster-id')
    const expectedClusterId = readIfPresent(nameFile)
    const sealed = await openSealedStore({
      store,
      sealer: openSealer(config, environment, dataDir),
      expectedClusterId,
      nowMs: Date.now(),
      onIntegrityError: ({ key }) => logger.error({ record: key }, 'a record of the store is not as the broker wrote it')
    })
    if (expectedClusterId === null) remember(nameFile, sealed.keyring.clusterId)
    return {
      store: sealed.store,
      keyring: sealed.keyring,
      clock: await openStoreClock({ store: sealed.store }),
      storageType: sqlite === null ? 'redis' : 'sqlite',
      risks,
      isThere: () => sealed.isThere(),
      check: async () => await sqlite?.check() ?? []
    }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Settings of the store that put data at risk stop a production start; in development they are named (SEC-352). */
async function refuseRisks (store: Store, { development }: Config, logger: Logger): Promise<readonly string[]> {
  const { problems } = await store.inspect()
  if (problems.length > 0 && !development) throw new Error(`the store is not safe to serve from:${problems.map((text) => `\n  - ${text}`).join('')}`)
  for (const problem of problems) logger.warn({ problem }, 'the store may lose what it was given')
  return problems
}

function openSealer (config: Config, environment: NodeJS.ProcessEnv, dataDir: string): KeySealer {
  if (config.masterKey !== null) return masterKeyVariable(environment, 'LATCHKEY_MASTER_KEY')
  const chosen = config.masterKeyFile
  if (chosen !== null && chosen !== '') return masterKeyFile(path.resolve(chosen), { create: config.development })
  return masterKeyFile(path.join(dataDir, 'master.key'), { create: true })
}

/** Beside and renamed, so that a crash leaves the whole name or none. */
function remember (file: string, clusterId: string): void {
  const beside = `${file}.${process.pid}`
  writeFileSync(beside, `${clusterId}\n`, { mode: 0o600 })
  renameSync(beside, file)
}

function readIfPresent (file: string): string | null {
  try {
    return readFileSync(file, 'utf8').trim()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
