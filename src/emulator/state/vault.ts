import {
  createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, type KeyObject
} from 'node:crypto'

/**
 * What one secret gives: keys that are the same at every start with that secret, and a seal.
 *
 * Session tokens are sealed and not kept, so they outlive a restart and cost no memory.
 */
export interface Vault {
  /** The 40-character secret of an access key. */
  secretAccessKey (accessKeyId: string): string
  /** Bytes that depend on the secret and these words alone; at most 32. */
  derive (words: string, count: number): Buffer
  seal (purpose: SealPurpose, plain: Uint8Array, nonce: Uint8Array): Buffer
  /** null when it was not sealed here for this purpose. */
  open (purpose: SealPurpose, sealed: Uint8Array): Buffer | null
}

export type SealPurpose = 'session' | 'message'

const nonceBytes = 12
const tagBytes = 16

export function createVault (secret: string): Vault {
  const key = (info: string): KeyObject =>
    createSecretKey(Buffer.from(hkdfSync('sha256', secret, 'aws-emulator', info, 32)))
  const accessKeys = key('access keys')
  const derivation = key('derivation')
  const seals: Record<SealPurpose, KeyObject> = { session: key('sessions'), message: key('messages') }

  return {
    secretAccessKey: (accessKeyId) =>
      createHmac('sha256', accessKeys).update(accessKeyId).digest().subarray(0, 30).toString('base64'),
    derive: (words, count) => createHmac('sha256', derivation).update(words).digest().subarray(0, count),
    seal (purpose, plain, nonce) {
      const cipher = createCipheriv('aes-256-gcm', seals[purpose], nonce.subarray(0, nonceBytes))
      return Buffer.concat([nonce.subarray(0, nonceBytes), cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    open (purpose, sealed) {
      if (sealed.length < nonceBytes + tagBytes) return null
      const tagAt = sealed.length - tagBytes
      const decipher = createDecipheriv('aes-256-gcm', seals[purpose], sealed.subarray(0, nonceBytes),
        { authTagLength: tagBytes })
      decipher.setAuthTag(sealed.subarray(tagAt))
      const plain = decipher.update(sealed.subarray(nonceBytes, tagAt))
      try {
        return Buffer.concat([plain, decipher.final()])
      } catch {
        return null
      }
    }
  }
}
