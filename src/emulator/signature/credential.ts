import { AuthenticationError } from '../aws-error.ts'
import type { Incoming } from '../http/incoming.ts'

/** What a request says of its signature, by header or by query. */
export interface Claim {
  readonly form: 'header' | 'query'
  readonly accessKeyId: string
  readonly scopeDay: string
  readonly region: string
  readonly service: string
  readonly terminator: string
  /** Lower case, in the order given. */
  readonly signedHeaders: readonly string[]
  readonly signature: string
  /** As sent, `20150830T123600Z`. */
  readonly timestamp: string
  readonly sessionToken: string | null
  /** Life of a presigned request in seconds; null for one signed by header. */
  readonly expiresSeconds: number | null
}

const algorithm = 'AWS4-HMAC-SHA256'
const presignedSecondsMax = 604_800
const compactInstant = /^\d{8}T\d{6}Z$/

/**
 * Reads the signature of a request; null when it carries none.
 *
 * @throws AuthenticationError IncompleteSignature, 400, naming all that is missing.
 */
export function findClaim (request: Incoming): Claim | null {
  const authorization = request.headers.get('authorization')
  if (authorization !== undefined) return claimOfHeader(authorization, request)
  return /(?:^|&)X-Amz-(?:Algorithm|Signature|Credential)=/i.test(request.query) ? claimOfQuery(request) : null
}

function incomplete (message: string): AuthenticationError {
  return new AuthenticationError('incomplete', message)
}

function claimOfHeader (authorization: string, request: Incoming): Claim {
  const space = authorization.indexOf(' ')
  if (authorization.slice(0, space === -1 ? undefined : space) !== algorithm) {
    throw incomplete(`Unsupported AWS 'algorithm': '${authorization.slice(0, 64)}'. Use '${algorithm}'.`)
  }
  const fields = new Map<string, string>()
  for (const part of authorization.slice(space + 1).split(',')) {
    const equals = part.indexOf('=')
    const name = part.slice(0, equals).trim()
    if (equals === -1 || fields.has(name)) {
      throw incomplete(`'${part.trim()}' not a valid key=value pair (missing equal-sign) in Authorization header: '${authorization}'.`)
    }
    fields.set(name, part.slice(equals + 1).trim())
  }
  const problems = ['Credential', 'Signature', 'SignedHeaders']
    .filter((name) => (fields.get(name) ?? '') === '')
    .map((name) => `Authorization header requires '${name}' parameter.`)
  const timestamp = findTimestamp(request)
  if (timestamp === null) {
    problems.push('Authorization header requires existence of either a \'X-Amz-Date\' or a \'Date\' header.')
  }
  if (problems.length > 0 || timestamp === null) {
    throw incomplete(`${problems.join(' ')} Authorization=${algorithm}`)
  }
  return {
    form: 'header',
    ...scopeOf(fields.get('Credential') ?? ''),
    signedHeaders: (fields.get('SignedHeaders') ?? '').toLowerCase().split(';'),
    signature: fields.get('Signature') ?? '',
    timestamp,
    sessionToken: request.headers.get('x-amz-security-token') ?? null,
    expiresSeconds: null
  }
}

/** X-Amz-Date, or else Date as HTTP or as ISO 8601 basic writes it. */
function findTimestamp ({ headers }: Incoming): string | null {
  const given = headers.get('x-amz-date') ?? headers.get('date')
  if (given === undefined) return null
  if (compactInstant.test(given)) return given
  const parsed = Date.parse(given)
  if (Number.isNaN(parsed)) {
    throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${given.slice(0, 64)}'. See http://en.wikipedia.org/wiki/ISO_8601`)
  }
  return new Date(parsed).toISOString().replaceAll(/[-:]|\.\d+/g, '')
}

function claimOfQuery (request: Incoming): Claim {
  const fields = new Map<string, string>()
  for (const pair of request.query.split('&')) {
    const equals = pair.indexOf('=')
    const name = decodeQuery(equals === -1 ? pair : pair.slice(0, equals))
    if (!name.startsWith('X-Amz-')) continue
    if (fields.has(name)) throw incomplete(`AWS query-string parameters must not repeat '${name}'.`)
    fields.set(name, decodeQuery(equals === -1 ? '' : pair.slice(equals + 1)))
  }
  const missing = ['X-Amz-Algorithm', 'X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders', 'X-Amz-Date', 'X-Amz-Expires']
    .filter((name) => (fields.get(name) ?? '') === '' && name !== 'X-Amz-Expires')
  if (missing.length > 0) {
    throw incomplete(missing.map((name) => `AWS query-string parameters must include '${name}'.`).join(' '))
  }
  if (fields.get('X-Amz-Algorithm') !== algorithm) {
    throw incomplete(`Unsupported AWS 'algorithm': '${fields.get('X-Amz-Algorithm')?.slice(0, 64)}'. Use '${algorithm}'.`)
  }
  const timestamp = fields.get('X-Amz-Date') ?? ''
  if (!compactInstant.test(timestamp)) {
    throw incomplete(`Date must be in ISO-8601 'basic format'. Got '${timestamp.slice(0, 64)}'. See http://en.wikipedia.org/wiki/ISO_8601`)
  }
  const expires = fields.get('X-Amz-Expires') ?? '900'
  if (!/^\d{1,7}$/.test(expires) || Number(expires) > presignedSecondsMax || Number(expires) < 1) {
    throw incomplete(`X-Amz-Expires must be between 1 and ${presignedSecondsMax} seconds.`)
  }
  return {
    form: 'query',
    ...scopeOf(fields.get('X-Amz-Credential') ?? ''),
    signedHeaders: (fields.get('X-Amz-SignedHeaders') ?? '').toLowerCase().split(';'),
    signature: fields.get('X-Amz-Signature') ?? '',
    timestamp,
    sessionToken: fields.get('X-Amz-Security-Token') ?? request.headers.get('x-amz-security-token') ?? null,
    expiresSeconds: Number(expires)
  }
}

type Scope = Pick<Claim, 'accessKeyId' | 'scopeDay' | 'region' | 'service' | 'terminator'>

function scopeOf (credential: string): Scope {
  const [accessKeyId, scopeDay, region, service, terminator, ...rest] = credential.split('/')
  if (accessKeyId === undefined || scopeDay === undefined || region === undefined || service === undefined ||
    terminator === undefined || rest.length > 0) {
    throw incomplete(`Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '${credential.slice(0, 200)}'.`)
  }
  return { accessKeyId, scopeDay, region, service, terminator }
}

function decodeQuery (text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw incomplete('The query string contains a syntax error.')
  }
}
