import type { JsonObject } from '../core/json.ts'
import type { Token } from '../core/model.ts'

/** The `auth` part of an answer that hands out or renews a token (contract 1.5). */
export function authBlock (token: Token, clientToken: string, leaseSeconds: number): JsonObject {
  return {
    client_token: clientToken,
    accessor: token.accessor,
    policies: token.policies,
    ...(token.policies.length > 0 && { token_policies: token.policies }),
    metadata: token.metadata,
    lease_duration: leaseSeconds,
    renewable: token.renewable,
    entity_id: '',
    token_type: 'service',
    orphan: token.orphan,
    mfa_requirement: null,
    num_uses: token.usesMax
  }
}
