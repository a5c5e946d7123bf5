import { isJsonObject, type JsonObject } from '../../core/json.ts'
import { BrokerError, invalidRequest } from '../../core/errors.ts'
import { decodeRecord } from '../../core/records.ts'
import { isNumberedShard, key, type Entry, type Key, type Stamp } from '../../core/store.ts'
import { checkCidrs, checkSubset, checkUses, type Role } from './role.ts'

/** What is kept of a secret_id, and is authoritative for it. The secret_id itself is kept nowhere (SEC-070). */
export interface SecretIdRecord {
  readonly mountAccessor: string
  readonly roleName: string
  /** The role's incarnation: what belongs to another one is not there (SEC-055 to SEC-057). */
  readonly incarnation: string
  readonly issuedAtMs: number
  /** null: never. */
  readonly expiresAtMs: number | null
  readonly ttlSeconds: number
  /** 0: unlimited. */
  readonly numUses: number
  readonly metadata: Readonly<Record<string, string>>
  readonly cidrList: readonly string[]
  readonly tokenBoundCidrs: readonly string[]
}

/** A secret_id that may still be used. */
export interface SecretId extends SecretIdRecord {
  readonly accessor: string
  readonly stamp: Stamp
  /** Logins left; 0 where they are not counted. */
  readonly usesLeft: number
}

/** When and from where a secret_id last logged in. */
export interface LastUse {
  readonly atMs: number
  readonly from: string
}

const accessorForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** Whether a text has the shape of a secret_id_accessor, so that it may be made into a key. */
export function isSecretIdAccessor (text: string): boolean {
  return accessorForm.test(text) && isNumberedShard(text.slice(0, 2))
}

/** Where a secret_id's record is; its accessor begins with the shard. */
export function secretIdKey (accessor: string): Key {
  return key(accessor.slice(0, 2), `secret/${accessor}`)
}

/** Where its last use is written; never without the secret_id itself. */
export function lastUseKey (accessor: string): Key {
  return key(accessor.slice(0, 2), `secret-use/${accessor}`)
}

/** What has a counted secret_id looked at after a use, so that a spent one is removed. */
export function spentCheckKey (accessor: string): Key {
  return key(accessor.slice(0, 2), `secret-spent/${accessor}`)
}

/** Secret_ids of a role, for lists. The mount stands first so that all of a mount can be found. */
export function secretIdsPrefix (mountAccessor: string, incarnation?: string): string {
  return incarnation === undefined ? `secret-of/${mountAccessor}/` : `secret-of/${mountAccessor}/${incarnation}/`
}

/** Reads a record; null for one that is expired or spent, whether or not it was removed yet (SEC-051). */
export function liveSecretId (entry: Entry | null, nowMs: number): SecretId | null {
  if (entry === null) return null
  const record = decodeRecord<SecretIdRecord>(entry.value)
  const { expiresAtMs, numUses } = record
  if (expiresAtMs !== null && expiresAtMs <= nowMs) return null
  if (numUses > 0 && entry.used >= numUses) return null
  const accessor = entry.key.slice(entry.key.lastIndexOf('/') + 1)
  return { ...record, accessor, stamp: entry.stamp, usesLeft: numUses === 0 ? 0 : numUses - entry.used }
}

/** What a caller asks of a new secret_id. */
export interface SecretIdTerms {
  readonly metadata: string | undefined
  readonly cidrList: readonly string[]
  readonly tokenBoundCidrs: readonly string[]
  readonly numUses: number | undefined
  readonly ttlSeconds: number | undefined
}

/**
 * The record of a new secret_id of a role, within the role's limits (contract 2.3).
 *
 * @throws BrokerError `invalid_request` with the contract's sentence.
 */
export function newSecretId (
  role: Role, terms: SecretIdTerms, at: { mountAccessor: string, nowMs: number, ttlSecondsMax: number }
): SecretIdRecord {
  if (!role.bindSecretId) throw invalidRequest('bind_secret_id is not set on the role')
  const cidrList = checkCidrs(terms.cidrList)
  checkSubset(role.secretIdBoundCidrs, cidrList)
  const tokenBoundCidrs = checkCidrs(terms.tokenBoundCidrs, 'failed to validate token CIDR blocks')
  checkSubset(role.tokenBoundCidrs, tokenBoundCidrs)
  const numUses = checkUses('num_uses', terms.numUses ?? role.secretIdNumUses)
  if (exceeds(numUses, role.secretIdNumUses)) {
    throw invalidRequest('num_uses cannot be higher than the role\'s secret_id_num_uses')
  }
  const asked = terms.ttlSeconds ?? role.secretIdTtlSeconds
  if (exceeds(asked, role.secretIdTtlSeconds)) {
    throw invalidRequest('ttl cannot be longer than the role\'s secret_id_ttl')
  }
  const ttlSeconds = Math.min(asked, at.ttlSecondsMax)
  return {
    mountAccessor: at.mountAccessor,
    roleName: role.name,
    incarnation: role.incarnation,
    issuedAtMs: at.nowMs,
    expiresAtMs: ttlSeconds === 0 ? null : at.nowMs + ttlSeconds * 1000,
    ttlSeconds,
    numUses,
    metadata: parseMetadata(terms.metadata ?? ''),
    cidrList,
    tokenBoundCidrs
  }
}

/** Whether a value goes beyond a limit, where 0 means none for both. */
function exceeds (value: number, limit: number): boolean {
  return limit > 0 && (value === 0 || value > limit)
}

const customLengthMin = 13
const customLengthMax = 1024

/**
 * A secret_id of the caller's choice. What is short can be guessed, however it is hashed (SEC-073);
 * the least length lets in what clients are known to register, and is far below what a caller
 * should choose: 22 random characters.
 *
 * @throws BrokerError `invalid_request`.
 */
export function checkCustomSecretId (secretId: string): string {
  if (secretId.length < customLengthMin || secretId.length > customLengthMax || !/^[!-~]+$/.test(secretId)) {
    throw invalidRequest(`secret_id must have ${customLengthMin} to ${customLengthMax} printable ASCII characters and no space`)
  }
  return secretId
}

const metadataLengthMax = 16_384

/**
 * Metadata in one of its forms: a JSON object of texts, that in base64, or `name=text` separated by
 * commas (contract 2.3).
 *
 * @throws BrokerError `invalid_request` `failed to parse metadata: <cause>`.
 */
export function parseMetadata (text: string): Readonly<Record<string, string>> {
  if (text.length > metadataLengthMax) throw badMetadata(`more than ${metadataLengthMax} characters`)
  return Object.fromEntries(metadataPairs(text).map(([name, value]) => {
    if (name === '' || typeof value !== 'string' || value === '') throw badMetadata('every name needs a text')
    return [name, value]
  }))
}

function metadataPairs (text: string): [string, unknown][] {
  if (!text.trimStart().startsWith('{')) return base64Pairs(text) ?? pairsOf(text)
  const object = parseObject(text)
  if (object === null) throw badMetadata('not a JSON object')
  return Object.entries(object)
}

/** Null where the text is not a JSON object in base64: `eye=blue` also has the letters of one. */
function base64Pairs (text: string): [string, unknown][] | null {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) return null
  const object = parseObject(Buffer.from(text, 'base64').toString('utf8'))
  return object === null ? null : Object.entries(object)
}

function pairsOf (text: string): [string, string][] {
  return text.split(',').map((item) => item.trim()).filter((item) => item !== '').map((item) => {
    const at = item.indexOf('=')
    if (at === -1) throw badMetadata('expected a JSON object or name=text pairs')
    return [item.slice(0, at).trim(), item.slice(at + 1).trim()]
  })
}

function parseObject (text: string): JsonObject | null {
  try {
    const value: unknown = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}

function badMetadata (cause: string): BrokerError {
  return invalidRequest(`failed to parse metadata: ${cause}`)
}

/** What lookups show of a secret_id (contract 2.3). */
export function secretIdData (secretId: SecretId): JsonObject {
  return {
    secret_id_accessor: secretId.accessor,
    secret_id_num_uses: secretId.usesLeft,
    secret_id_ttl: secretId.ttlSeconds,
    creation_time: timestamp(secretId.issuedAtMs),
    expiration_time: timestamp(secretId.expiresAtMs),
    last_updated_time: timestamp(secretId.issuedAtMs),
    metadata: secretId.metadata,
    cidr_list: secretId.cidrList,
    token_bound_cidrs: secretId.tokenBoundCidrs
  }
}

/** RFC 3339 with nanoseconds; the year 1 where there is no time (contract 1.11, 2.3). */
function timestamp (ms: number | null): string {
  return ms === null ? '0001-01-01T00:00:00Z' : new Date(ms).toISOString().replace('Z', '000000Z')
}
