import { isJsonObject, type JsonObject } from '../core/json.ts'
import { requestPrefix, type Mount, type Token } from '../core/model.ts'
import { createRecent } from '../core/recent.ts'
import { isoTime } from '../core/iso-time.ts'
import type { Hash } from './hasher.ts'
import { redact, textsOf } from './redact.ts'
import { hideNames, hideRepeated, hideTokens, quote } from './text.ts'

/** A request as the audit log tells of it. Pass the same object for its answer, and do not freeze it. */
export interface AuditSubject {
  /** The `request_id` that the client sees. */
  readonly id: string
  /** `create`, `read`, `update`, `delete`, `list`, `patch`, `help`. */
  readonly operation: string
  /** The mount's stable path and what follows. Hidden where `mount` is null: then it is only what somebody sent. */
  readonly path: string
  readonly data: JsonObject
  readonly remoteAddress: string
  readonly remotePort: number
  /** The peer of the socket; told where it differs from `remoteAddress` (SEC-277). */
  readonly socketAddress: string
  readonly wrapTtlSeconds: number | null
  readonly clientToken: string | null
  readonly mount: Mount | null
  /** null where nobody was authenticated. */
  readonly token: Token | null
  /** Of a token with counted uses, after this one; else null. */
  readonly usesLeft: number | null
  readonly policyResults: { readonly allowed: boolean, readonly grantedBy: readonly string[] }
  /** Keys of the request's and the answer's data whose numbers and booleans are secret too. */
  readonly secretKeys: ReadonlySet<string> | 'all'
  /** Why the request goes no further, where that is known before it is recorded; a public sentence. */
  readonly denial: string | null
  /** The log's own: what the request's entry said on each device, so that the answer's need not be made anew. */
  told?: string[]
}

/** An answer as the audit log tells of it. */
export interface AuditAnswer {
  readonly data?: JsonObject | null
  /** The envelope's `auth`. */
  readonly auth?: JsonObject | null
  readonly leaseId?: string
  /** The envelope's `wrap_info`. */
  readonly wrapInfo?: JsonObject | null
  readonly warnings?: readonly string[]
  /** The public sentence of an error. */
  readonly error?: string | null
}

/** Writes the entries of one device. */
export interface EntryWriter {
  /** A line without its end. @throws RangeError for data that are nested too deeply */
  request (subject: AuditSubject, nowMs: number): string
  response (subject: AuditSubject, answer: AuditAnswer, nowMs: number): string
  /** The line that shows that a device takes lines. */
  test (nowMs: number): string
}

export interface EntryWriterOptions {
  readonly hash: Hash
  /** Names of our own API. */
  readonly names: ReadonlySet<string>
  /** Which device it is. */
  readonly index: number
}

/** Tokens whose part of an entry is kept, in each of two generations. */
const tokensMax = 4096
/** Values of a token's metadata that the broker itself put there. */
const ownMetadata = new Set(['role_name'])

/**
 * Entries in the format of contract 8, as JSON text. What repeats is made once: the part about a
 * token, and for an answer all that its request had said.
 */
export function createEntryWriter ({ hash, names, index }: EntryWriterOptions): EntryWriter {
  const tokenParts = createRecent<string, string>(tokensMax)

  /** What never changes in the life of a token, by its accessor. */
  function tokenPart (token: Token): string {
    const known = tokenParts.get(token.accessor)
    if (known !== undefined) return known
    const part = `"accessor":"${hash(token.accessor)}","display_name":${quote(token.displayName)},` +
      `"policies":${list(token.policies)},"token_policies":${list(token.policies)},` +
      (token.metadata === null ? '' : `${metadataPart(token.metadata)},`) +
      `"token_type":${quote(token.kind === 'wrapping' ? 'service' : token.kind)},"token_ttl":${token.creationTtlSeconds},` +
      `"token_issue_time":"${isoTime(token.issuedAtMs)}"` + (token.usesMax > 0 ? `,"num_uses":${token.usesMax}` : '')
    tokenParts.set(token.accessor, part)
    return part
  }

  function metadataPart (metadata: JsonObject): string {
    const pairs = Object.entries(metadata).map(([name, value]) => ownMetadata.has(name)
      ? `"${name}":${quote(String(value))}`
      : `"${names.has(name) ? name : hash(name)}":"${hash(String(value))}"`)
    return `"metadata":{${pairs.join(',')}}`
  }

  function authPart ({ token, clientToken, usesLeft, policyResults }: AuditSubject): string {
    if (token === null) return ''
    const granting = policyResults.grantedBy.map((name) => `{"name":${quote(name)},"namespace_id":"root","type":"acl"}`)
    return '"auth":{' + (clientToken === null ? '' : `"client_token":"${hash(clientToken)}",`) + tokenPart(token) +
      `,"policy_results":{"allowed":${policyResults.allowed}` +
      (granting.length === 0 ? '' : `,"granting_policies":[${granting.join(',')}]`) +
      (usesLeft === null ? '}},' : `},"remaining_uses":${usesLeft}},`)
  }

  /** Of a request that is refused nobody knows what its data mean. */
  function dataOf (data: JsonObject, subject: AuditSubject, clearKeys: readonly string[] | null): string {
    const known = subject.mount !== null && subject.policyResults.allowed
    return redact(data, { hash, names, secretKeys: known ? subject.secretKeys : 'all', clearKeys: known ? clearKeys ?? [] : [] })
  }

  /** Names of mounts are asked for below `sys/`; elsewhere a path begins with the mount's own. */
  function shownPath (path: string, { type }: Mount): string {
    const shown = hideTokens(path, hash)
    return type === 'system' ? hideNames(shown, hash) : shown
  }

  function requestPart (subject: AuditSubject): string {
    const { mount, token, clientToken, data, wrapTtlSeconds } = subject
    return `"request":{"id":${quote(subject.id)},"operation":${quote(subject.operation)},` +
      (mount === null ? '' : `${mountPart(mount)},`) +
      (clientToken === null ? '' : `"client_token":"${hash(clientToken)}",`) +
      (token === null ? '' : `"client_token_accessor":"${hash(token.accessor)}",`) +
      `"namespace":{"id":"root"},"path":${mount === null ? `"${hash(subject.path)}"` : quote(shownPath(subject.path, mount))},` +
      (isEmpty(data) ? '' : `"data":${dataOf(data, subject, mount?.config.auditNonHmacRequestKeys ?? null)},`) +
      `"remote_address":${quote(subject.remoteAddress)},"remote_port":${subject.remotePort}` +
      (subject.socketAddress === subject.remoteAddress ? '' : `,"socket_address":${quote(subject.socketAddress)}`) +
      (wrapTtlSeconds === null ? '}' : `,"wrap_ttl":${wrapTtlSeconds}}`)
  }

  function bothParts (subject: AuditSubject): string {
    const told = subject.told ??= []
    return told[index] ??= authPart(subject) + requestPart(subject)
  }

  function sentence (text: string, { data }: AuditSubject): string {
    return quote(hideRepeated(hideNames(text, hash), { names, hash, sent: textsOf(data, names) }))
  }

  function errorPart (text: string | null | undefined, subject: AuditSubject): string {
    return text === null || text === undefined ? '' : `,"error":${sentence(text, subject)}`
  }

  function newToken (auth: JsonObject): string {
    const { metadata, lease_duration: ttlSeconds } = auth
    const parts = [...hiddenFields(auth, ['client_token', 'accessor'], hash),
      ...clearFields(auth, ['policies', 'token_policies', 'token_type', 'orphan', 'num_uses'])]
    if (isJsonObject(metadata)) parts.push(metadataPart(metadata))
    if (typeof ttlSeconds === 'number') parts.push(`"token_ttl":${ttlSeconds}`)
    return `"auth":{${parts.join(',')}}`
  }

  function wrapPart (wrapInfo: JsonObject): string {
    const parts = [...clearFields(wrapInfo, ['ttl', 'creation_time', 'creation_path']),
      ...hiddenFields(wrapInfo, ['token', 'accessor', 'wrapped_accessor'], hash)]
    return `"wrap_info":{${parts.join(',')}}`
  }

  function responsePart (subject: AuditSubject, { auth, leaseId, data, warnings = [], wrapInfo }: AuditAnswer): string {
    const { mount } = subject
    let parts = ''
    const add = (part: string) => { parts += parts === '' ? part : `,${part}` }
    if (auth) add(newToken(auth))
    if (mount !== null) add(mountPart(mount))
    if (leaseId) add(`"secret":{"lease_id":${quote(leaseId)}}`)
    if (data && !isEmpty(data)) add(`"data":${dataOf(data, subject, mount?.config.auditNonHmacResponseKeys ?? null)}`)
    if (warnings.length > 0) add(`"warnings":[${warnings.map((warning) => sentence(warning, subject)).join(',')}]`)
    if (wrapInfo) add(wrapPart(wrapInfo))
    return `,"response":{${parts}}`
  }

  return {
    request: (subject, nowMs) =>
      `{"time":"${isoTime(nowMs)}","type":"request",${bothParts(subject)}${errorPart(subject.denial, subject)}}`,
    response: (subject, answer, nowMs) =>
      `{"time":"${isoTime(nowMs)}","type":"response",${bothParts(subject)}` +
      `${responsePart(subject, answer)}${errorPart(answer.error, subject)}}`,
    test: (nowMs) =>
      `{"time":"${isoTime(nowMs)}","type":"request",` +
      '"request":{"operation":"update","namespace":{"id":"root"},"path":"sys/audit/test"}}'
  }
}

/** Mounts are the same objects until they change. */
const mountParts = new WeakMap<Mount, string>()

function mountPart (mount: Mount): string {
  const known = mountParts.get(mount)
  if (known !== undefined) return known
  const part = `"mount_point":${quote(requestPrefix(mount))},"mount_type":${quote(mount.type)},` +
    `"mount_accessor":${quote(mount.accessor)},"mount_class":"${mount.table}"`
  mountParts.set(mount, part)
  return part
}

function list (texts: readonly string[]): string {
  return `[${texts.map(quote).join(',')}]`
}

function isEmpty (data: JsonObject): boolean {
  for (const _key in data) return false
  return true
}

function hiddenFields (from: JsonObject, keys: readonly string[], hash: Hash): string[] {
  return keys.flatMap((key) => typeof from[key] === 'string' && from[key] !== '' ? [`"${key}":"${hash(from[key])}"`] : [])
}

function clearFields (from: JsonObject, keys: readonly string[]): string[] {
  return keys.flatMap((key) => {
    const value = from[key]
    if (typeof value === 'string') return [`"${key}":${quote(value)}`]
    if (typeof value === 'number' || typeof value === 'boolean') return [`"${key}":${value}`]
    return Array.isArray(value) ? [`"${key}":${list(value.map(String))}`] : []
  })
}
