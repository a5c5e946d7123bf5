import { createHmac, createSecretKey } from 'node:crypto'

/** Hides a text as `hmac-sha256:<64 hex>`: equal texts look equal, and only who has the salt can try one (contract 8). */
export type Hash = (text: string) => string

/** Texts that are kept, in each of two generations, and the longest that is. */
const keptMax = 4096
const keptLengthMax = 1024

/**
 * The HMAC of one device. Tokens, accessors and names come again and again, so the last few
 * thousand results are kept: what was not asked for during two generations is forgotten.
 */
export function createHasher (salt: Uint8Array): Hash {
  const secret = createSecretKey(salt)
  let young = new Map<string, string>()
  let old = new Map<string, string>()

  function keep (text: string, hashed: string): void {
    if (young.size >= keptMax) {
      old = young
      young = new Map()
    }
    young.set(text, hashed)
  }

  return (text) => {
    const known = young.get(text)
    if (known !== undefined) return known
    const hashed = old.get(text) ?? `hmac-sha256:${createHmac('sha256', secret).update(text, 'utf8').digest('hex')}`
    if (text.length <= keptLengthMax) keep(text, hashed)
    return hashed
  }
}
