import type { Operations } from '../call.ts'
import { queryProtocol, type Service } from '../service.ts'
import { createAccountOperations } from './account.ts'
import { createBoundaryOperations } from './boundaries.ts'
import { createGroupOperations, createMembershipOperations } from './groups.ts'
import { createHolderPolicyOperations } from './holder-policies.ts'
import { createInstanceProfileOperations, taggedProfiles } from './instance-profiles.ts'
import { createManagedPolicyOperations, taggedPolicies } from './managed-policies.ts'
import { createOidcProviderOperations, taggedProviders } from './oidc-providers.ts'
import type { IamParts } from './parts.ts'
import { createPolicyVersionOperations } from './policy-versions.ts'
import { createPossessionOperations } from './possessions.ts'
import { createRoleOperations } from './roles.ts'
import { createSimulation } from './simulate.ts'
import { groups, roles, users } from './subject.ts'
import { createTagOperations, taggedHolders } from './tags.ts'
import { createUserNameOperations } from './user-name.ts'
import { createAccessKeyOperations, createUserOperations } from './users.ts'

/** AWS Identity and Access Management, API 2010-05-08. */
export function createIam (parts: IamParts): Service {
  const operations: Operations = {
    ...createUserOperations(parts),
    ...createUserNameOperations(parts),
    ...createAccessKeyOperations(parts),
    ...createGroupOperations(parts),
    ...createMembershipOperations(parts),
    ...createRoleOperations(parts),
    ...createManagedPolicyOperations(parts),
    ...createPolicyVersionOperations(parts),
    ...createHolderPolicyOperations(users, parts),
    ...createHolderPolicyOperations(groups, parts),
    ...createHolderPolicyOperations(roles, parts),
    ...createBoundaryOperations(users, parts),
    ...createBoundaryOperations(roles, parts),
    ...createTagOperations(taggedHolders(users), parts),
    ...createTagOperations(taggedHolders(roles), parts),
    ...createTagOperations(taggedPolicies, parts),
    ...createTagOperations(taggedProfiles, parts),
    ...createTagOperations(taggedProviders, parts),
    ...createInstanceProfileOperations(parts),
    ...createOidcProviderOperations(parts),
    ...createAccountOperations(parts),
    ...createPossessionOperations(parts),
    ...createSimulation(parts)
  }
  return {
    name: 'iam',
    version: '2010-05-08',
    eventSource: 'iam.amazonaws.com',
    operations,
    ...queryProtocol('https://iam.amazonaws.com/doc/2010-05-08/')
  }
}
