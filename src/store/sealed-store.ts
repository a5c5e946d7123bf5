import { createSecretKey, randomBytes, randomUUID } from 'node:crypto'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, StoreConflict, SYS, type Store, type StoreIntegrity } from '../core/store.ts'
import { createBarrier } from './barrier.ts'
import { createKeyring, firstTerm, openTerms, sealTerms, type Keyring } from './keyring.ts'
import type { KeySealer } from './master-key.ts'

/** The one record that is not sealed by the barrier: it holds the sealed keys of the barrier. */
const keyringKey = key(SYS, 'keyring')

interface KeyringRecord {
  readonly clusterId: string
  readonly mode: string
  /** Sealed by the master key, base64. */
  readonly rootKey: string
  /** Sealed by the root key, base64. */
  readonly terms: string
}

export interface SealedStoreOptions {
  readonly store: Store
  readonly sealer: KeySealer
  /** The cluster that this store was, as the broker remembers it outside of the store; null: none yet. */
  readonly expectedClusterId: string | null
  readonly nowMs: number
  readonly onIntegrityError: (error: StoreIntegrity) => void
}

export interface SealedStore {
  readonly store: Store
  readonly keyring: Keyring
  /** Whether this start made the keyring. */
  readonly isNew: boolean
}

/**
 * Opens a store's keyring with the master key and puts the barrier before it. An empty store gets
 * a keyring, once, whoever starts at the same time (SEC-233).
 *
 * @throws Error in plain words for another master key, and for an empty or another store where one was expected.
 */
export async function openSealedStore (options: SealedStoreOptions): Promise<SealedStore> {
  const { store, sealer, expectedClusterId, onIntegrityError } = options
  const found = await readKeyring(store)
  if (found === null && expectedClusterId !== null) {
    throw new Error('the store is empty, but this broker had one before: bring the store back, or remove the file cluster-id from the data folder to begin anew')
  }
  const record = found ?? await initialize(options)
  if (expectedClusterId !== null && record.clusterId !== expectedClusterId) {
    throw new Error('this is not the store that this broker had before: give it its own data folder, or bring back the store')
  }
  const keyring = await openKeyring(record, sealer)
  return { store: createBarrier({ store, keyring, onIntegrityError }), keyring, isNew: found === null }
}

async function readKeyring (store: Store): Promise<KeyringRecord | null> {
  const [entry] = await store.get([keyringKey])
  return entry ? decodeRecord<KeyringRecord>(entry.value) : null
}

async function initialize ({ store, sealer, nowMs }: SealedStoreOptions): Promise<KeyringRecord> {
  const clusterId = randomUUID()
  const root = randomBytes(32)
  const record: KeyringRecord = {
    clusterId,
    mode: sealer.mode,
    rootKey: (await sealer.seal(root, clusterId)).toString('base64'),
    terms: sealTerms(createSecretKey(root), clusterId, [firstTerm(nowMs)]).toString('base64')
  }
  root.fill(0)
  try {
    await store.commit([{ op: 'put', key: keyringKey, value: encodeRecord(record), expect: 'absent' }], { strong: true })
    return record
  } catch (error) {
    if (!(error instanceof StoreConflict)) throw error
    const winner = await readKeyring(store)
    if (winner === null) throw error
    return winner
  }
}

async function openKeyring (record: KeyringRecord, sealer: KeySealer): Promise<Keyring> {
  let root: Buffer
  try {
    root = await sealer.unseal(Buffer.from(record.rootKey, 'base64'), record.clusterId)
  } catch (error) {
    throw new Error('the master key does not open this store: it was sealed with another key, or another kind of key', { cause: error })
  }
  const terms = openTerms(createSecretKey(root), record.clusterId, Buffer.from(record.terms, 'base64'))
  root.fill(0)
  return createKeyring(record.clusterId, terms)
}
