import { parsePolicyDocument } from '../authorization/document.ts'
import { noSuchEntity } from '../aws-error.ts'
import type { ManagedPolicy, StoredPolicy } from '../state/records.ts'
import type { Account, World } from '../state/world.ts'

/** @throws PolicyError MalformedPolicyDocument. */
export function storedPolicy (text: string): StoredPolicy {
  return { text, document: parsePolicyDocument(text, 'identity') }
}

/**
 * A managed policy that this account can attach: one of its own or of AWS's.
 *
 * @throws AwsError NoSuchEntity.
 */
export function requirePolicy (world: World, account: Account, arn: string): ManagedPolicy {
  const owner = arn.split(':')[4]
  const policy = owner === 'aws' || owner === account.id ? world.findPolicy(arn) : null
  if (policy === null) throw noSuchEntity(`Policy ${arn} does not exist or is not attachable.`)
  return policy
}

/** A document as IAM writes it into answers: percent-encoded (RFC 3986). */
export function encodedDocument (text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`)
}
