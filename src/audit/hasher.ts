import { createHmac, createSecretKey } from 'node:crypto'
import { createRecent } from '../core/recent.ts'

/** Hides a text as `hmac-sha256:<64 hex>`: equal texts look equal, and only who has the salt can try one (contract 8). */
export type Hash = (text: string) => string

/** Texts that are kept, in each of two generations, and the longest that is. */
const keptMax = 4096
const keptLengthMax = 1024

/**
 * The HMAC of one device. Tokens, accessors and names come again and again, so the last few
 * thousand results are kept.
 */
export function createHasher (salt: Uint8Array): Hash {
  const secret = createSecretKey(salt)
  const kept = createRecent<string, string>(keptMax)

  return (text) => {
    const known = kept.get(text)
    if (known !== undefined) return known
    const hashed = `hmac-sha256:${createHmac('sha256', secret).update(text, 'utf8').digest('hex')}`
    if (text.length <= keptLengthMax) kept.set(text, hashed)
    return hashed
  }
}
