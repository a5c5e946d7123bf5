import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { drawUuid } from '../core/ids.ts'
import {
  key, StoreConflict, StoreUnknown, SYS, type Entry, type Store, type StoreIntegrity
} from '../core/store.ts'
import { createBarrier } from './barrier.ts'
import { createKeyring, firstTerm, openTerms, sealTerms, type Keyring } from './keyring.ts'
import type { KeySealer } from './master-key.ts'

/** The one record that is not sealed by the barrier: it holds the sealed keys of the barrier. */
const KEYRING = key(SYS, 'keyring')
const FORMAT = 'latchkey keyring 1'

interface KeyringRecord {
  readonly format: string
  readonly clusterId: string
  /** How the root key was sealed. */
  readonly mode: string
  /** Sealed by the master key, base64. */
  readonly rootKey: string
  /** Sealed by the root key, base64. */
  readonly terms: string
}

/** What `openSealedStore` needs. */
export interface SealedStoreOptions {
  readonly store: Store
  readonly sealer: KeySealer
  /** The cluster this store was, as the broker remembers it outside of it; null: none yet. */
  readonly expectedClusterId: string | null
  readonly nowMs: number
  readonly onIntegrityError: (error: StoreIntegrity) => void
}

/** A store behind its barrier. */
export interface SealedStore {
  readonly store: Store
  readonly keyring: Keyring
  /** Whether this start made the keyring. */
  readonly isNew: boolean
  /**
   * Tells whether the store still holds this cluster. To be asked after a reconnect and with every
   * `inspect`: a store that came back empty must not be served from (FLT-024).
   */
  isThere (): Promise<boolean>
}

/**
 * Opens a store's keyring with the master key and puts the barrier before it. An empty store gets
 * a keyring, once, whoever starts at the same time (SEC-233).
 *
 * @throws Error in plain words for another master key or mode, for records without a keyring, and
 * for an empty or another store where one was expected.
 */
export async function openSealedStore (options: SealedStoreOptions): Promise<SealedStore> {
  const { store, sealer, expectedClusterId, onIntegrityError } = options
  // Before the keyring, which is the first record there ever is: whoever sees any other finds it.
  const hasRecords = await holdsRecords(store)
  const found = await findKeyring(store)
  if (found === null && expectedClusterId !== null) {
    throw new Error('the store is empty, but this broker had one before: bring the store back, ' +
      'or remove the file cluster-id from the data folder to begin anew')
  }
  if (found === null && hasRecords) {
    throw new Error('the store holds records but no keyring: it is damaged, or not a store of ours')
  }
  const { entry, isNew } = found === null
    ? await initialise(options)
    : { entry: found, isNew: false }
  const record = parseRecord(entry)
  if (expectedClusterId !== null && record.clusterId !== expectedClusterId) {
    throw new Error('this is not the store that this broker had before: ' +
      'give it its own data folder, or bring back the store')
  }
  const keyring = await unlock(record, sealer)
  return {
    store: createBarrier({ store, keyring, onIntegrityError }),
    keyring,
    isNew,
    async isThere () {
      const now = await findKeyring(store)
      return now !== null && parseRecord(now).clusterId === keyring.clusterId
    }
  }
}

async function findKeyring (store: Store): Promise<Entry | null> {
  const [entry] = await store.get([KEYRING])
  return entry ?? null
}

async function holdsRecords (store: Store): Promise<boolean> {
  const numbered = await store.list('', { limit: 1 })
  const system = await store.list('', { limit: 1, shard: SYS })
  return numbered.length + system.length > 0
}

async function initialise ({ store, sealer, nowMs }: SealedStoreOptions) {
  const clusterId = drawUuid()
  const rootBytes = randomBytes(32)
  const rootKey = (await sealer.seal(rootBytes, clusterId)).toString('base64')
  const terms = sealTerms(secretOf(rootBytes), clusterId, [firstTerm(nowMs)]).toString('base64')
  const record: KeyringRecord = { format: FORMAT, clusterId, mode: sealer.mode, rootKey, terms }
  const value = Buffer.from(JSON.stringify(record))
  try {
    await store.commit([{ op: 'put', key: KEYRING, value, expect: 'absent' }], { strong: true })
  } catch (error) {
    if (!(error instanceof StoreConflict || error instanceof StoreUnknown)) throw error
  }
  const entry = await findKeyring(store)
  if (entry === null) throw new Error('the store did not keep its keyring')
  return { entry, isNew: parseRecord(entry).clusterId === clusterId }
}

async function unlock (record: KeyringRecord, sealer: KeySealer): Promise<Keyring> {
  const { clusterId, mode } = record
  if (mode !== sealer.mode) {
    throw new Error(`the store was sealed in mode ${mode}, this broker is set to ${sealer.mode}`)
  }
  const rootBytes = await unsealRoot(record, sealer)
  const terms = openTerms(secretOf(rootBytes), clusterId, Buffer.from(record.terms, 'base64'))
  return createKeyring(clusterId, terms)
}

async function unsealRoot (record: KeyringRecord, sealer: KeySealer): Promise<Buffer> {
  try {
    return await sealer.unseal(Buffer.from(record.rootKey, 'base64'), record.clusterId)
  } catch (error) {
    throw new Error('the master key does not open this store: ' +
      'it was sealed with another key, or its keyring was changed', { cause: error })
  }
}

/** Takes the bytes over and wipes them. */
function secretOf (bytes: Buffer): KeyObject {
  const secret = createSecretKey(bytes)
  bytes.fill(0)
  return secret
}

function parseRecord ({ value }: Entry): KeyringRecord {
  const record = parseJson(Buffer.from(value).toString('utf8'))
  const { format, clusterId, mode, rootKey, terms } = record
  if (format !== FORMAT) throw new Error('the keyring has a format that this version does not know')
  if (typeof clusterId !== 'string' || typeof mode !== 'string' ||
    typeof rootKey !== 'string' || typeof terms !== 'string') {
    throw new Error('the keyring of the store is damaged')
  }
  return { format: FORMAT, clusterId, mode, rootKey, terms }
}

function parseJson (text: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(text) as object }
  } catch (error) {
    throw new Error('the keyring of the store is damaged', { cause: error })
  }
}
