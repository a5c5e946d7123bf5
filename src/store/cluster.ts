import { createSecretKey, randomBytes, type KeyObject } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { key, StoreConflict, StoreUnknown, SYS, type Entry, type Store } from '../core/store.ts'
import { createKeyring, firstTerm, openTerms, sealTerms, type Keyring } from './keyring.ts'
import type { KeySealer } from './master-key.ts'

const KEYRING = key(SYS, 'keyring')
const EPOCH = key(SYS, 'epoch')
const FORMAT = 'latchkey keyring 1'

/** The record `sys:keyring`: the master key seals the root key, which seals the terms. */
interface KeyringRecord {
  readonly format: string
  readonly clusterId: string
  readonly mode: string
  readonly rootKey: string
  readonly terms: string
}

/** What `openCluster` needs. */
export interface ClusterOptions {
  /** The bare store: these records are not sealed by the barrier, they are what it is made of. */
  readonly store: Store
  readonly sealer: KeySealer
  readonly nowMs: number
  /** A file on this machine that remembers which cluster the store holds. */
  readonly marker?: string
}

/**
 * Reads the keyring of a store, or makes it in an empty one; of several brokers that start at once
 * one makes it and all use it.
 *
 * @throws Error in plain words for a wrong master key or mode, for records without a keyring, and
 * for a store that is empty, or another one, where the marker remembers a cluster.
 */
export async function openCluster (options: ClusterOptions): Promise<Keyring> {
  const { store, sealer, nowMs, marker } = options
  const expected = marker === undefined ? null : readMarker(marker)
  const hasRecords = await holdsRecords(store)
  const entry = await findKeyring(store)
  if (entry === null && hasRecords) {
    throw new Error('the store holds records but no keyring: it is damaged, or not a store of ours')
  }
  if (entry === null && expected !== null) {
    throw new Error(`the store is empty, but held cluster ${expected} before: ` +
      `restore it, or remove ${marker} to begin anew`)
  }
  const record = parseRecord(entry ?? await initialise(store, sealer, nowMs))
  if (expected !== null && expected !== record.clusterId) {
    throw new Error(`the store holds cluster ${record.clusterId}, ${marker} expects ${expected}`)
  }
  const keyring = await unlock(record, sealer)
  if (marker !== undefined && expected === null) writeMarker(marker, record.clusterId)
  return keyring
}

/**
 * Tells whether the store still is the one that a keyring came from: a store that came back empty
 * must not be served from (FLT-024).
 */
export async function isSameCluster (store: Store, keyring: Keyring): Promise<boolean> {
  const [entry] = await store.get([EPOCH])
  return entry !== null && entry !== undefined && textOf(entry) === keyring.clusterId
}

async function findKeyring (store: Store): Promise<Entry | null> {
  const [entry] = await store.get([KEYRING])
  return entry ?? null
}

/** Looked at before the keyring, which is the first record there ever is. */
async function holdsRecords (store: Store): Promise<boolean> {
  const numbered = await store.list('', { limit: 1 })
  const system = await store.list('', { limit: 1, shard: SYS })
  return numbered.length + system.length > 0
}

async function initialise (store: Store, sealer: KeySealer, nowMs: number): Promise<Entry> {
  const clusterId = randomBytes(16).toString('hex')
  const rootBytes = randomBytes(32)
  const sealedRoot = await sealer.seal(rootBytes, clusterId)
  const terms = sealTerms(secretOf(rootBytes), clusterId, [firstTerm(nowMs)])
  const record: KeyringRecord = {
    format: FORMAT,
    clusterId,
    mode: sealer.mode,
    rootKey: sealedRoot.toString('base64'),
    terms: terms.toString('base64')
  }
  try {
    await store.commit([
      { op: 'put', key: KEYRING, value: Buffer.from(JSON.stringify(record)), expect: 'absent' },
      { op: 'put', key: EPOCH, value: Buffer.from(clusterId), expect: 'absent' }
    ], { strong: true })
  } catch (error) {
    if (!(error instanceof StoreConflict || error instanceof StoreUnknown)) throw error
  }
  const entry = await findKeyring(store)
  if (entry === null) throw new Error('the store did not keep its keyring')
  return entry
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
      'it is another key, or the keyring was changed', { cause: error })
  }
}

/** Takes the bytes over and wipes them. */
function secretOf (bytes: Buffer): KeyObject {
  const secret = createSecretKey(bytes)
  bytes.fill(0)
  return secret
}

function parseRecord (entry: Entry): KeyringRecord {
  const record = parseJson(textOf(entry))
  const { format, clusterId, mode, rootKey, terms } = record
  if (format !== FORMAT) throw new Error('the keyring has a format that this version does not know')
  for (const field of [clusterId, mode, rootKey, terms]) {
    if (typeof field !== 'string') throw new Error('the keyring of the store is damaged')
  }
  return record as unknown as KeyringRecord
}

function parseJson (text: string): Record<string, unknown> {
  try {
    return { ...JSON.parse(text) as object }
  } catch (error) {
    throw new Error('the keyring of the store is damaged', { cause: error })
  }
}

function textOf ({ value }: Entry): string {
  return Buffer.from(value).toString('utf8')
}

function readMarker (marker: string): string | null {
  return existsSync(marker) ? readFileSync(marker, 'utf8').trim() : null
}

function writeMarker (marker: string, clusterId: string): void {
  writeFileSync(`${marker}.new`, `${clusterId}\n`, { mode: 0o600, flush: true })
  renameSync(`${marker}.new`, marker)
}
