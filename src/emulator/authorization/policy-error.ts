/** A document that AWS would refuse: MalformedPolicyDocument, 400. The message is for the caller. */
export class PolicyError extends Error {
  readonly code = 'MalformedPolicyDocument'
}
