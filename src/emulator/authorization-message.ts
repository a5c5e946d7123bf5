import type { RandomSource } from './state/random.ts'
import type { Vault } from './state/vault.ts'

/** Seals an account of a refused request for the caller's account alone. */
export function sealAuthorizationMessage (
  accountId: string, account: object, { vault, random }: { readonly vault: Vault, readonly random: RandomSource }
): string {
  return vault.seal('message', Buffer.from(accountId + JSON.stringify(account)), random.bytes(12)).toString('base64url')
}

/** Opens what was sealed for this account; null for anything else. */
export function openAuthorizationMessage (accountId: string, sealed: string, vault: Vault): string | null {
  const plain = vault.open('message', Buffer.from(sealed, 'base64url'))?.toString()
  return plain?.startsWith(accountId) === true ? plain.slice(accountId.length) : null
}
