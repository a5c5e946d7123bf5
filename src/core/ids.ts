import { randomBytes, randomUUID } from 'node:crypto'
import { customAlphabet } from 'nanoid'

const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

const draw22 = customAlphabet(base62, 22)
const draw43 = customAlphabet(base62, 43)

/** A name of 24 base62 characters: two of the shard, 22 random ones (131 bits). */
export function handleIn (shard: string): string {
  return shard + draw22()
}

/** One of the 256 numbered shards, drawn evenly. */
export function drawShard (): string {
  return randomBytes(1).toString('hex')
}

/** The secret part of a token's `jti`: 43 base62 characters, 256 bits. */
export function drawTokenName (): string {
  return draw43()
}

/** A random UUID (version 4, RFC 9562), 122 random bits, fresh from the generator and not from its cache. */
export function drawUuid (): string {
  return randomUUID({ disableEntropyCache: true })
}

/** A UUID that names something without being secret, such as a request. */
export function requestId (): string {
  return randomUUID()
}

/**
 * The 24 base62 characters of a handle derived from a 32-byte MAC: the shard, then the MAC's
 * base64url text without `-` and `_`, cut to 22 (131 bits).
 */
export function handleFromMac (shard: string, mac: Buffer): string {
  return shard + mac.toString('base64url').replace(/[-_]/g, '').slice(0, 22)
}

/** A UUID-shaped text (version 8, RFC 9562: custom) made of the first 16 bytes of a MAC, whose first byte is kept. */
export function uuidFromMac (mac: Buffer): string {
  const hex = mac.toString('hex', 0, 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}
