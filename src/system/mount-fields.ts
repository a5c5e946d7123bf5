import { parseSeconds } from '../core/duration.ts'
import { invalidRequest } from '../core/errors.ts'
import { bool, commaList, FieldError, object, text, textMap, type Field } from '../core/fields.ts'
import type { Json, JsonObject } from '../core/json.ts'
import type { Mount, MountConfig } from '../core/model.ts'

/** Settings as a caller gives them: absent means "leave as it is". */
export type ConfigChange = { -readonly [K in keyof MountConfig]?: MountConfig[K] }

const visibilities = new Set(['', 'hidden', 'unauth'])
const tokenTypes = new Set(['default-service', 'default-batch', 'service', 'batch'])

/** The body of enabling a mount (contract 5.1). */
export const enableFields = {
  type: text('The backend\'s type, `aws` or `approle`.'),
  description: text('For people.'),
  config: object('default_lease_ttl, max_lease_ttl, force_no_cache, listing_visibility, audit_non_hmac_request_keys, …'),
  options: textMap('Options of the backend, texts.'),
  local: bool('Stored and shown.'),
  seal_wrap: bool('Stored and shown.'),
  external_entropy_access: bool('Accepted and ignored.'),
  plugin_name: text('Accepted and ignored.'),
  plugin_version: text('Accepted and ignored.')
}

/** The body of tuning a mount (contract 5.3). Texts such as lease TTLs are read by `readConfig`. */
export const tuneFields = {
  default_lease_ttl: text('Duration; empty: unchanged; `system` or 0: the system\'s.'),
  max_lease_ttl: text('Duration; empty: unchanged; `system` or 0: the system\'s.'),
  description: text('For people.'),
  listing_visibility: text('Empty, `hidden` or `unauth`.'),
  audit_non_hmac_request_keys: commaList('Request keys whose values the audit log shows in clear.'),
  audit_non_hmac_response_keys: commaList('Response keys whose values the audit log shows in clear.'),
  passthrough_request_headers: commaList('Stored and shown.'),
  allowed_response_headers: commaList('Stored and shown.'),
  token_type: text('Auth mounts only: default-service, default-batch, service or batch.'),
  options: textMap('Merged with the present ones; an empty value removes its key.'),
  plugin_version: text('Accepted and ignored.'),
  user_lockout_config: object('Stored and shown.')
}

/**
 * Reads mount settings from an object of wire names.
 *
 * @throws BrokerError `invalid_request` with the contract's text.
 */
export function readConfig (raw: JsonObject): ConfigChange {
  const change: ConfigChange = {}
  const ttl = (name: string, label: string) => {
    const value = Object.hasOwn(raw, name) ? raw[name] : undefined
    if (value === undefined || value === null || value === '') return undefined
    return value === 'system' ? 0 : readTtl(value, label)
  }
  const list = (name: string) => readField(raw, name, commaList(name))
  const ttlSecondsDefault = ttl('default_lease_ttl', 'default')
  if (ttlSecondsDefault !== undefined) change.ttlSecondsDefault = ttlSecondsDefault
  const ttlSecondsMax = ttl('max_lease_ttl', 'max')
  if (ttlSecondsMax !== undefined) change.ttlSecondsMax = ttlSecondsMax
  const forceNoCache = readField(raw, 'force_no_cache', bool('force_no_cache'))
  if (forceNoCache !== undefined) change.forceNoCache = forceNoCache
  const visibility = readField(raw, 'listing_visibility', text('listing_visibility'))
  if (visibility !== undefined) change.listingVisibility = asVisibility(visibility)
  const requestKeys = list('audit_non_hmac_request_keys')
  if (requestKeys !== undefined) change.auditNonHmacRequestKeys = requestKeys
  const responseKeys = list('audit_non_hmac_response_keys')
  if (responseKeys !== undefined) change.auditNonHmacResponseKeys = responseKeys
  const requestHeaders = list('passthrough_request_headers')
  if (requestHeaders !== undefined) change.passthroughRequestHeaders = requestHeaders
  const responseHeaders = list('allowed_response_headers')
  if (responseHeaders !== undefined) change.allowedResponseHeaders = responseHeaders
  const tokenType = readField(raw, 'token_type', text('token_type'))
  if (tokenType !== undefined) change.tokenType = asTokenType(tokenType)
  const lockout = readField(raw, 'user_lockout_config', object('user_lockout_config'))
  if (lockout !== undefined) change.userLockout = readLockout(lockout)
  return change
}

function readField<T> (raw: JsonObject, name: string, field: Field<T>): T | undefined {
  const value = Object.hasOwn(raw, name) ? raw[name] : undefined
  if (value === undefined || value === null) return undefined
  try {
    return field.parse(value)
  } catch (error) {
    if (error instanceof FieldError) throw invalidRequest(`error converting input for field "${name}": ${error.message}`)
    throw error
  }
}

function readTtl (raw: Json, label: string): number {
  try {
    return parseSeconds(raw)
  } catch (error) {
    const shown = typeof raw === 'string' || typeof raw === 'number' ? raw : typeof raw
    throw invalidRequest(`unable to parse ${label} TTL of ${shown}: ${error instanceof Error ? error.message : 'not a duration'}`)
  }
}

function asVisibility (value: string): MountConfig['listingVisibility'] {
  if (!visibilities.has(value)) throw invalidRequest(`invalid listing_visibility ${value}`)
  return value as MountConfig['listingVisibility']
}

function asTokenType (value: string): string {
  if (!tokenTypes.has(value)) throw invalidRequest('invalid value for \'token_type\'')
  return value
}

/** Lockout settings as tune shows them (contract 5.3). */
function readLockout (raw: JsonObject): JsonObject {
  const seconds = (name: string) => Object.hasOwn(raw, name) ? readTtl(raw[name] ?? null, name) : 0
  return {
    user_lockout_threshold: Number(raw['lockout_threshold'] ?? 0),
    user_lockout_duration: seconds('lockout_duration'),
    user_lockout_counter_reset_duration: seconds('lockout_counter_reset_duration'),
    user_lockout_disable: raw['lockout_disable'] === true
  }
}

/** A mount's options after a change: merged, an empty value removes its key; null where none are left. */
export function mergeOptions (mount: Pick<Mount, 'options'>, change: Readonly<Record<string, string>>) {
  const merged = { ...mount.options, ...change }
  const kept = Object.entries(merged).filter(([, value]) => value !== '')
  return kept.length === 0 ? null : Object.fromEntries(kept)
}
