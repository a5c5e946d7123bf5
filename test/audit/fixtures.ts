import type { AuditSubject } from '../../src/audit/entry.ts'
import type { Mount, MountConfig, Token } from '../../src/core/model.ts'

export const nowMs = Date.UTC(2026, 0, 1)

/** A KV mount, unless told otherwise. */
export function mountOf ({ config = {}, ...more }: Partial<Omit<Mount, 'config'>> & { config?: Partial<MountConfig> } = {}): Mount {
  return {
    accessor: 'kv_1a2b3c4d', uuid: 'uuid', path: 'kv', table: 'secret', type: 'kv', description: '', options: null,
    local: false, sealWrap: false, state: 'live', rotation: null, ...more,
    config: {
      ttlSecondsDefault: 0, ttlSecondsMax: 0, forceNoCache: false, listingVisibility: '', auditNonHmacRequestKeys: null,
      auditNonHmacResponseKeys: null, passthroughRequestHeaders: null, allowedResponseHeaders: null, tokenType: null,
      userLockout: null, ...config
    }
  }
}

/** A token of an AppRole login. */
export function tokenOf (more: Partial<Token> = {}): Token {
  return {
    accessor: '4fAbCdEfGhIjKlMnOpQrStUv', lineage: [], kind: 'service', path: 'auth/approle/login',
    mountAccessor: 'approle_1', displayName: 'approle', policies: ['default', 'web'], metadata: { role_name: 'web' },
    issuedAtMs: nowMs, expiresAtMs: nowMs + 1_200_000, endsAtMs: null, creationTtlSeconds: 1200,
    explicitMaxTtlSeconds: 0, periodSeconds: 0, renewable: true, lastRenewalMs: null, usesMax: 0, boundCidrs: [],
    orphan: true, role: null, renewal: null, ...more
  }
}

/** A read of a KV secret that is allowed. */
export function subjectOf (more: Partial<AuditSubject> = {}): AuditSubject {
  return {
    id: 'b7f2c9a0-0000-4000-8000-000000000001', operation: 'read', path: 'kv/data/a', data: {},
    remoteAddress: '10.0.0.7', remotePort: 51234, socketAddress: '10.0.0.7', wrapTtlSeconds: null,
    clientToken: 'eyJ.client.token', mount: mountOf(), token: tokenOf(), usesLeft: null,
    policyResults: { allowed: true, grantedBy: ['web'] }, secretKeys: new Set(), denial: null, ...more
  }
}
