import type { IncomingMessage } from 'node:http'
import { DurationError, parseSeconds } from '../src/core/duration.ts'
import { BrokerError, invalidRequest } from '../src/core/errors.ts'

/** What the broker reads of a request's headers; all else is looked at by nobody. */
export interface RequestHeaders {
  readonly clientToken: string | null
  readonly wrapTtlSeconds: number | null
  /** As it was sent, to be echoed; null where absent, empty or not fit for a header. */
  readonly namespace: string | null
  /** Empty where absent or sent twice with different values. */
  readonly contentType: string
  readonly contentEncoding: string
  readonly forwardedFor: string
  readonly accept: string
  readonly ifNoneMatch: string
  /** What is wrong with the headers themselves. */
  readonly refusal: BrokerError | null
}

/** The longest token, in bytes (SEC-092). */
export const TOKEN_BYTES_MAX = 2048

const hostForm = /^(?:\[[0-9A-Fa-f:.]+\]|[\w.~-]+)(?::\d{1,5})?$/
const visible = /^[\x21-\x7e]{1,256}$/
/** A token is printable ASCII; a comma is what two headers look like once a proxy joined them. */
const tokenForm = /^[\x20-\x2b\x2d-\x7e]*$/

interface Found {
  host: string | null
  hosts: number
  token: string
  authorization: string
  namespace: string
  wrapTtl: string
  contentType: string
  contentEncoding: string
  forwardedFor: string
  accept: string
  ifNoneMatch: string
  /** The name of a header that was sent with two values. */
  ambiguous: string
}

/**
 * Reads a request's headers from the raw list, where doubles are still to be seen (SEC-090,
 * SEC-291). `X-Vault-Token` wins over `Authorization` (contract kit 02); the same header with two
 * values is refused.
 */
export function readHeaders (request: IncomingMessage): RequestHeaders {
  const found = collect(request.rawHeaders)
  const { token, authorization, namespace } = found
  const clientToken = token !== '' ? token : bearer(authorization)
  let refusal = refusalOf(request, found)
  if (refusal === null && clientToken !== null) refusal = checkToken(clientToken)
  let wrapTtlSeconds: number | null = null
  if (refusal === null && found.wrapTtl !== '') {
    const parsed = parseWrapTtl(found.wrapTtl)
    if (parsed instanceof BrokerError) refusal = parsed
    else wrapTtlSeconds = parsed === 0 ? null : parsed
  }
  return {
    clientToken: refusal === null ? clientToken : null,
    wrapTtlSeconds,
    namespace: visible.test(namespace) ? namespace : null,
    contentType: found.contentType,
    contentEncoding: found.contentEncoding,
    forwardedFor: found.forwardedFor,
    accept: found.accept,
    ifNoneMatch: found.ifNoneMatch,
    refusal
  }
}

function collect (raw: readonly string[]): Found {
  const found: Found = {
    host: null, hosts: 0, token: '', authorization: '', namespace: '', wrapTtl: '',
    contentType: '', contentEncoding: '', forwardedFor: '', accept: '', ifNoneMatch: '', ambiguous: ''
  }
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const value = raw[i + 1] ?? ''
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === 'host') {
          found.hosts++
          found.host = value
        }
        break
      case 6:
        if (name.toLowerCase() === 'accept') found.accept = value
        break
      case 12:
        if (name.toLowerCase() === 'content-type') found.contentType = found.contentType === '' ? value : 'ambiguous'
        break
      case 13:
        takeLength13(found, name.toLowerCase(), value)
        break
      case 15:
        if (name.toLowerCase() === 'x-forwarded-for') found.forwardedFor += found.forwardedFor === '' ? value : `,${value}`
        break
      case 16:
        takeLength16(found, name.toLowerCase(), value)
        break
      case 17:
        if (name.toLowerCase() === 'x-vault-namespace') found.namespace = single(found, found.namespace, value, 'X-Vault-Namespace')
    }
  }
  return found
}

function takeLength13 (found: Found, name: string, value: string): void {
  if (name === 'x-vault-token') found.token = single(found, found.token, value, 'X-Vault-Token')
  else if (name === 'if-none-match') found.ifNoneMatch += found.ifNoneMatch === '' ? value : `,${value}`
  else if (name === 'authorization') found.authorization = single(found, found.authorization, value, 'Authorization')
}

function takeLength16 (found: Found, name: string, value: string): void {
  if (name === 'x-vault-wrap-ttl') found.wrapTtl = single(found, found.wrapTtl, value, 'X-Vault-Wrap-TTL')
  else if (name === 'content-encoding') found.contentEncoding += value
}

function single (found: Found, former: string, value: string, name: string): string {
  if (former !== '' && value !== former) found.ambiguous = name
  return value
}

function refusalOf (request: IncomingMessage, found: Found): BrokerError | null {
  if (request.httpVersion !== '1.1' && request.httpVersion !== '1.0') return invalidRequest('unsupported HTTP version')
  if (found.hosts > 1 || (found.hosts === 0 && request.httpVersion === '1.1')) return invalidRequest('one Host header is required')
  if (found.host !== null && !hostForm.test(found.host)) return invalidRequest('malformed Host header')
  const coding = request.headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') return invalidRequest('unsupported transfer encoding')
  if (found.ambiguous !== '') return invalidRequest(`${found.ambiguous} header has more than one value`)
  if (found.namespace !== '' && !isRootNamespace(found.namespace)) return new BrokerError('not_found', 'namespace not found')
  return null
}

function isRootNamespace (text: string): boolean {
  return text === '/' || text === 'root' || text === 'root/' || text === '/root' || text === '/root/'
}

/** The token of `Authorization: Bearer <token>`: the word is case-sensitive, white space around the token is not part of it. */
function bearer (authorization: string): string | null {
  if (!authorization.startsWith('Bearer ')) return null
  const token = authorization.slice(7).trim()
  return token === '' ? null : token
}

function checkToken (token: string): BrokerError | null {
  if (token.length > TOKEN_BYTES_MAX) return invalidRequest('token is too long')
  return tokenForm.test(token) ? null : invalidRequest('malformed token')
}

/** Seconds asked for by X-Vault-Wrap-TTL, 0 for "do not wrap" (contract 1.4). */
function parseWrapTtl (text: string): number | BrokerError {
  const prefix = 'error parsing X-Vault-Wrap-TTL header: '
  if (text.startsWith('-')) return invalidRequest(`${prefix}requested wrap ttl cannot be negative`)
  if (/^\d*\.\d*$/.test(text)) return invalidRequest(`${prefix}invalid duration`)
  try {
    return parseSeconds(text)
  } catch (error) {
    if (error instanceof DurationError) return invalidRequest(`${prefix}invalid duration`)
    throw error
  }
}
