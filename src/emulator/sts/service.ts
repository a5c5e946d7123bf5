import type { Operations } from '../call.ts'
import { queryProtocol, type Service } from '../service.ts'
import type { Vault } from '../state/vault.ts'
import { createAssumeRole, type StsParts } from './assume-role.ts'
import { createDecodeAuthorizationMessage, createGetAccessKeyInfo, getCallerIdentity } from './inquiries.ts'
import { createGetFederationToken, createGetSessionToken } from './user-tokens.ts'

/** AWS Security Token Service, API 2011-06-15. */
export function createSts (parts: StsParts & { readonly vault: Vault }): Service {
  const operations: Operations = {
    AssumeRole: createAssumeRole(parts),
    GetCallerIdentity: getCallerIdentity,
    GetFederationToken: createGetFederationToken(parts),
    GetSessionToken: createGetSessionToken(parts),
    GetAccessKeyInfo: createGetAccessKeyInfo(parts.world, parts.judge),
    DecodeAuthorizationMessage: createDecodeAuthorizationMessage(parts.judge, parts.vault)
  }
  return {
    name: 'sts',
    version: '2011-06-15',
    eventSource: 'sts.amazonaws.com',
    operations,
    ...queryProtocol('https://sts.amazonaws.com/doc/2011-06-15/')
  }
}
