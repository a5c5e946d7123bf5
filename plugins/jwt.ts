import fastifyJwt from '@fastify/jwt'
import fastify from 'fastify'
import type { KeyObject } from 'node:crypto'
import type { TokenClaims, TokenSigner } from '../src/core/token-signer.ts'
import { TOKEN_BYTES_MAX } from './request-headers.ts'

/** The keys that sign tokens, by keyring term. The store's keyring satisfies it. */
export interface SigningKeys {
  readonly clusterId: string
  activeTerm (purpose: 'jwt'): number
  /** Terms whose keys may still verify. */
  terms (purpose: 'jwt'): readonly number[]
  purposeKey (term: number, purpose: 'jwt'): KeyObject
}

interface ReadClaims extends TokenClaims {
  /** Epoch seconds. */
  readonly iat: number
}

/** Signs and verifies with the key of one term. */
interface TermJwt {
  readonly term: number
  sign (payload: object): string
  /** @throws what @fastify/jwt throws. */
  verify (token: string): object
}

/** Signers by term, and verifiers by the exact text of their header. */
interface Ring {
  readonly keys: SigningKeys
  readonly active: TermJwt
  readonly byHeader: ReadonlyMap<string, TermJwt>
  /** Characters of a payload without `exp` whose `jti`, `sub` and `iat` are empty. */
  readonly bareLength: number
}

const KEY_BYTES = 32
/** 32 bytes of signature, the last character with its two spare bits clear (SEC-088). */
const signatureForm = /^[\w-]{42}[AEIMQUYcgkosw048]$/
const nameForm = /^[0-9a-f]{2}[epck][0-9A-Za-z]{43}$/
const lineageForm = /^[0-9A-Za-z]{24}(?:\.[0-9A-Za-z]{24})*$/
/** How far a signer's clock may be ahead of ours, seconds (SEC-085). */
const AHEAD_SECONDS = 5
/** The longest life anyone may name: 100 years, in seconds. */
const LIFE_SECONDS_MAX = 3_155_760_000

/**
 * Makes the signer of client tokens on @fastify/jwt: HS256, one signer and verifier for each term, no
 * cache (SEC-094). `keyring` is asked on each call and its terms are taken over when it answers
 * another object, so a rotated or destroyed key counts at once.
 *
 * A token is verified only under a header that is, byte for byte, the one we sign with: no
 * other algorithm, type, embedded key, `crit` or spelling gets as far as a signature (SEC-080 to SEC-087).
 */
export function createTokenSigner (keyring: () => SigningKeys): TokenSigner {
  let ring = openRing(keyring())

  function current (): Ring {
    const keys = keyring()
    if (keys !== ring.keys) ring = openRing(keys)
    return ring
  }

  return {
    term: () => current().active.term,
    sign ({ jti, sub, exp }, nowMs) {
      const iat = Math.floor(nowMs / 1000)
      const token = current().active.sign(exp === undefined ? { jti, sub, iat } : { jti, sub, iat, exp })
      if (token.length > TOKEN_BYTES_MAX) throw new RangeError('a token has too many ancestors')
      return token
    },
    verify (token, nowMs) {
      if (token.length > TOKEN_BYTES_MAX) return null
      const headerEnd = token.indexOf('.')
      const payloadEnd = token.indexOf('.', headerEnd + 1)
      if (headerEnd === -1 || payloadEnd === -1 || !signatureForm.test(token.slice(payloadEnd + 1))) return null
      const { byHeader, bareLength, keys: { clusterId } } = current()
      const jwt = byHeader.get(token.slice(0, headerEnd))
      if (jwt === undefined) return null
      let payload: object
      try {
        payload = jwt.verify(token)
      } catch {
        return null
      }
      const claims = readClaims(payload, clusterId, nowMs)
      if (claims === null) return null
      if (!isCanonical(payload, bareLength + textLength(claims), payloadEnd - headerEnd - 1)) return null
      const { jti, sub, exp } = claims
      return exp === undefined ? { jti, sub, term: jwt.term } : { jti, sub, exp, term: jwt.term }
    }
  }
}

function openRing (keys: SigningKeys): Ring {
  const activeTerm = keys.activeTerm('jwt')
  const jwts = new Map(keys.terms('jwt').map((term) => [term, openTerm(keys, term)]))
  const active = jwts.get(activeTerm)
  if (active === undefined) throw new RangeError('the active key of tokens is not among those that verify')
  const { clusterId } = keys
  const bareLength = JSON.stringify({ jti: '', sub: '', iat: 0, iss: clusterId, aud: clusterId }).length - 1
  return { keys, active, byHeader: new Map([...jwts.values()].map((jwt) => [headerText(jwt.term), jwt])), bareLength }
}

function headerText (term: number): string {
  return Buffer.from(JSON.stringify({ alg: 'HS256', typ: 'vtk+jwt', kid: String(term) })).toString('base64url')
}

function openTerm (keys: SigningKeys, term: number): TermJwt {
  const secret = keys.purposeKey(term, 'jwt').export()
  if (secret.length !== KEY_BYTES || secret.every((byte) => byte === secret[0])) {
    throw new RangeError('a key of tokens has another size, or no entropy')
  }
  const app = fastify()
  fastifyJwt(app, {
    secret,
    sign: { algorithm: 'HS256', kid: String(term), header: { alg: 'HS256', typ: 'vtk+jwt' }, iss: keys.clusterId, aud: keys.clusterId },
    // Times are compared with the store's clock, by readClaims.
    verify: { algorithms: ['HS256'], checkTyp: 'vtk+jwt', cache: false, ignoreExpiration: true, ignoreNotBefore: true }
  }, (error) => { if (error !== undefined) throw error })
  return { term, sign: (payload) => app.jwt.sign(payload), verify: (token) => app.jwt.verify<object>(token) }
}

/** The claims of a payload that says exactly what ours say; null for any other (SEC-083 to SEC-086). */
function readClaims (payload: object, clusterId: string, nowMs: number): ReadClaims | null {
  const { iss, aud, sub, jti, iat, exp } = payload as Readonly<Record<string, unknown>>
  if (iss !== clusterId || aud !== clusterId) return null
  if (typeof jti !== 'string' || !nameForm.test(jti)) return null
  if (typeof sub !== 'string' || !lineageForm.test(sub)) return null
  if (!isTime(iat) || iat * 1000 > nowMs + AHEAD_SECONDS * 1000) return null
  const ends = jti[2] === 'e' || jti[2] === 'c'
  if (!ends) return exp === undefined && !('exp' in payload) ? { jti, sub, iat } : null
  if (!isTime(exp) || exp * 1000 <= nowMs || exp < iat || exp - iat > LIFE_SECONDS_MAX) return null
  return { jti, sub, iat, exp }
}

function isTime (value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

/** Characters of a payload's variable parts; they hold nothing that JSON escapes. */
function textLength ({ jti, sub, iat, exp }: ReadClaims): number {
  return jti.length + sub.length + String(iat).length + (exp === undefined ? 0 : ',"exp":'.length + String(exp).length)
}

/** Whether a payload's text says nothing beyond its known claims: no further claim, no name twice, no other spelling. */
function isCanonical (payload: object, length: number, segmentLength: number): boolean {
  const names = Object.keys(payload).length
  return names === ('exp' in payload ? 6 : 5) && Math.ceil(length * 4 / 3) === segmentLength
}
