import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto'

const NONCE_BYTES = 12
const TAG_BYTES = 16
const ALGORITHM = 'aes-256-gcm'
/** Without it Node also opens tags of 12, 8 and 4 bytes (CRY-011). */
const OPTIONS = { authTagLength: TAG_BYTES } as const
const POOL_BYTES = NONCE_BYTES * 256

let pool = Buffer.alloc(0)
let poolUsed = 0

/** What sealing adds to a text. */
export const SEAL_BYTES = NONCE_BYTES + TAG_BYTES

/**
 * Seals with AES-256-GCM under a random nonce of 96 bits, which no caller chooses (CRY-012), and
 * answers `header`, nonce, ciphertext and tag. `context` has to be the same when it is opened.
 */
export function seal (
  key: KeyObject, plain: Uint8Array, context: Uint8Array, header: Uint8Array = EMPTY
): Buffer {
  const nonce = drawNonce()
  const cipher = createCipheriv(ALGORITHM, key, nonce, OPTIONS)
  cipher.setAAD(context)
  const sealed = Buffer.allocUnsafe(header.length + SEAL_BYTES + plain.length)
  sealed.set(header, 0)
  sealed.set(nonce, header.length)
  sealed.set(cipher.update(plain), header.length + NONCE_BYTES)
  cipher.final()
  sealed.set(cipher.getAuthTag(), sealed.length - TAG_BYTES)
  return sealed
}

/**
 * Opens what `seal` made, all or nothing: bytes are answered only after the tag was checked
 * (CRY-013). `offset` is the length of the header.
 *
 * @throws Error when anything of key, context, header, nonce, text or tag differs.
 */
export function open (key: KeyObject, sealed: Uint8Array, context: Uint8Array, offset = 0): Buffer {
  const start = offset + NONCE_BYTES
  const end = sealed.length - TAG_BYTES
  if (end < start) throw new Error('sealed bytes are too short')
  const decipher = createDecipheriv(ALGORITHM, key, sealed.subarray(offset, start), OPTIONS)
  decipher.setAAD(context)
  decipher.setAuthTag(sealed.subarray(end))
  const plain = decipher.update(sealed.subarray(start, end))
  try {
    decipher.final()
  } catch (error) {
    plain.fill(0)
    throw error
  }
  return plain
}

/** Joins parts so that no two lists of parts give the same bytes: each goes behind its length. */
export function lengthPrefixed (parts: readonly (string | Uint8Array)[]): Buffer {
  return Buffer.concat(parts.flatMap((part) => {
    const bytes = Buffer.from(part)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return [length, bytes]
  }))
}

const EMPTY = new Uint8Array(0)

function drawNonce (): Buffer {
  if (poolUsed + NONCE_BYTES > pool.length) {
    pool = randomBytes(POOL_BYTES)
    poolUsed = 0
  }
  poolUsed += NONCE_BYTES
  return pool.subarray(poolUsed - NONCE_BYTES, poolUsed)
}
