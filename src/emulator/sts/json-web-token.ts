import { createPublicKey, verify, type KeyObject } from 'node:crypto'

/** A token that was taken apart but not yet believed. */
export interface ParsedToken {
  readonly header: { readonly alg: string, readonly kid: string | null }
  readonly claims: Readonly<Record<string, unknown>>
  readonly signed: Buffer
  readonly signature: Buffer
}

const digests: Readonly<Record<string, { readonly type: 'RSA' | 'EC', readonly digest: string, readonly curve?: string }>> = {
  RS256: { type: 'RSA', digest: 'sha256' },
  RS384: { type: 'RSA', digest: 'sha384' },
  RS512: { type: 'RSA', digest: 'sha512' },
  ES256: { type: 'EC', digest: 'sha256', curve: 'P-256' },
  ES384: { type: 'EC', digest: 'sha384', curve: 'P-384' },
  ES512: { type: 'EC', digest: 'sha512', curve: 'P-521' }
}

/** Takes a JWS in compact form apart (RFC 7515 section 7.1); null when it is none. */
export function findToken (text: string): ParsedToken | null {
  const [header = '', payload = '', signature = '', ...rest] = text.split('.')
  if (rest.length > 0 || ![header, payload, signature].every((part) => /^[\w-]+$/.test(part))) return null
  const head = findObject(header)
  const claims = findObject(payload)
  if (head === null || claims === null || typeof head.alg !== 'string') return null
  return {
    header: { alg: head.alg, kid: typeof head.kid === 'string' ? head.kid : null },
    claims,
    signed: Buffer.from(`${header}.${payload}`),
    signature: Buffer.from(signature, 'base64url')
  }
}

/**
 * Whether one of the keys of a JWK set (RFC 7517) made the signature. null when no key fits the
 * token's algorithm and key id, so that newer keys may be asked for.
 */
export function isSignedBy (jwks: unknown, { header, signed, signature }: ParsedToken): boolean | null {
  const algorithm = Object.hasOwn(digests, header.alg) ? digests[header.alg] : undefined
  if (algorithm === undefined) return false
  const keys = keysOf(jwks).filter((key) =>
    key.kty === algorithm.type && (algorithm.curve === undefined || key.crv === algorithm.curve) &&
    (header.kid === null || key.kid === header.kid) && (key.alg === undefined || key.alg === header.alg) &&
    (key.use === undefined || key.use === 'sig'))
  if (keys.length === 0) return null
  return keys.some((jwk) => {
    const key = findKey(jwk)
    return key !== null && verify(algorithm.digest, signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
  })
}

type Members = Readonly<Record<string, unknown>>

const keysMax = 100

function keysOf (jwks: unknown): readonly Members[] {
  if (!isMembers(jwks) || !Array.isArray(jwks.keys)) return []
  return jwks.keys.slice(0, keysMax).filter(isMembers)
}

function findKey (jwk: Members): KeyObject | null {
  try {
    return createPublicKey({ key: { ...jwk }, format: 'jwk' })
  } catch {
    return null
  }
}

function findObject (part: string): Members | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return isMembers(value) ? value : null
  } catch {
    return null
  }
}

function isMembers (value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
