import { parsePolicyDocument, type PolicyDocument } from '../authorization/document.ts'
import { renderDocument, resolvePrincipals } from '../authorization/trust.ts'
import { limitExceeded } from '../aws-error.ts'
import type { Operation, Operations } from '../call.ts'
import type { Tree } from '../http/tree.ts'
import { requestTagKeys } from '../request-context.ts'
import { uniqueId } from '../state/identifiers.ts'
import type { Role } from '../state/records.ts'
import type { World } from '../state/world.ts'
import { createProblems } from '../validation.ts'
import { encodedDocument, requirePolicy } from './policy-text.ts'
import { countedCharacters, mergeTags, quotas, readPage, readTags, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { alreadyExists, boundaryTree, deleteConflict, existing, readSubject, roles, subjectKeys, tagList } from './subject.ts'
import { authorizeTags } from './tags.ts'

const defaultSessionSeconds = 3600

/** CreateRole, GetRole, ListRoles, UpdateRole, UpdateRoleDescription, UpdateAssumeRolePolicy, DeleteRole. */
export function createRoleOperations (parts: IamParts): Operations {
  const { judge, world } = parts
  return {
    CreateRole: createRole(parts),

    GetRole (call) {
      const problems = createProblems()
      const subject = readSubject(roles, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:GetRole', subject.arn, subjectKeys(subject.record))
      return { result: { Role: fullTree(existing(roles, subject), world) } }
    },

    ListRoles (call) {
      const { params, caller: { account } } = call
      const problems = createProblems()
      const prefix = problems.text(params, 'PathPrefix', rules.pathPrefix) ?? '/'
      const page = readPage(params, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:ListRoles', `arn:aws:iam::${account.id}:role${prefix}`)
      const { items, fields } = page(account.roles.list().filter(({ path }) => path.startsWith(prefix)))
      return { result: { Roles: items.map((role) => roleTree(role, world)), ...fields } }
    },

    UpdateRole (call) {
      const problems = createProblems()
      const subject = readSubject(roles, call, problems)
      const description = problems.text(call.params, 'Description', rules.description)
      const seconds = problems.number(call.params, 'MaxSessionDuration', rules.roleSeconds)
      problems.throwIfAny()
      judge.authorize(call, 'iam:UpdateRole', subject.arn, subjectKeys(subject.record))
      const role = existing(roles, subject)
      call.caller.account.roles.put(role.name, {
        ...role,
        description: description ?? role.description,
        maxSessionSeconds: seconds ?? role.maxSessionSeconds
      })
      return { result: {} }
    },

    UpdateRoleDescription (call) {
      const problems = createProblems()
      const subject = readSubject(roles, call, problems)
      const description = problems.required(call.params, 'Description', rules.description)
      problems.throwIfAny()
      judge.authorize(call, 'iam:UpdateRoleDescription', subject.arn, subjectKeys(subject.record))
      const role = { ...existing(roles, subject), description }
      call.caller.account.roles.put(role.name, role)
      return { result: { Role: fullTree(role, world) } }
    },

    UpdateAssumeRolePolicy (call) {
      const problems = createProblems()
      const subject = readSubject(roles, call, problems)
      const text = problems.required(call.params, 'PolicyDocument', rules.document)
      problems.throwIfAny()
      judge.authorize(call, 'iam:UpdateAssumeRolePolicy', subject.arn, subjectKeys(subject.record))
      const role = existing(roles, subject)
      call.caller.account.roles.put(role.name, { ...role, trust: parseTrust(text, world) })
      return { result: {} }
    },

    DeleteRole (call) {
      const problems = createProblems()
      const subject = readSubject(roles, call, problems)
      problems.throwIfAny()
      judge.authorize(call, 'iam:DeleteRole', subject.arn, subjectKeys(subject.record))
      const role = existing(roles, subject)
      const { account } = call.caller
      if (account.instanceProfiles.list().some((profile) => profile.role === role.name)) {
        throw deleteConflict('Cannot delete entity, must remove roles from instance profile first.')
      }
      if (role.attached.length > 0) throw deleteConflict('Cannot delete entity, must detach all policies first.')
      if (role.inline.size > 0) throw deleteConflict('Cannot delete entity, must delete policies first.')
      account.roles.remove(role.name)
      return { result: {} }
    }
  }
}

function createRole ({ judge, random, world }: IamParts): Operation {
  return (call) => {
    const { params, caller: { account } } = call
    const problems = createProblems()
    const name = problems.required(params, 'RoleName', rules.roleName)
    const path = problems.text(params, 'Path', rules.path) ?? '/'
    const text = problems.required(params, 'AssumeRolePolicyDocument', rules.document)
    const description = problems.text(params, 'Description', rules.description)
    const seconds = problems.number(params, 'MaxSessionDuration', rules.roleSeconds)
    const boundary = problems.text(params, 'PermissionsBoundary', rules.arn)
    const tags = readTags(params, problems)
    problems.throwIfAny()
    const arn = `arn:aws:iam::${account.id}:role${path}${name}`
    judge.authorize(call, 'iam:CreateRole', arn, {
      ...requestTagKeys(tags), 'iam:PermissionsBoundary': boundary === null ? [] : [boundary]
    })
    authorizeTags(judge, call, 'iam:TagRole', arn, tags)
    if (account.roles.find(name) !== null) throw alreadyExists(`Role with name ${name} already exists.`)
    if (boundary !== null) requirePolicy(world, account, boundary)
    const role: Role = {
      kind: 'role',
      name,
      path,
      id: uniqueId('AROA', random.bytes(17)),
      arn,
      createdAtMs: call.nowMs,
      inline: new Map(),
      attached: [],
      trust: parseTrust(text, world),
      boundary,
      description,
      maxSessionSeconds: seconds ?? defaultSessionSeconds,
      tags: mergeTags(new Map(), tags)
    }
    account.roles.put(name, role)
    return {
      result: { Role: fullTree(role, world) },
      notes: { responseElements: { role: { roleName: name, arn, roleId: role.id } } }
    }
  }
}

/**
 * A trust policy with its users and roles resolved.
 *
 * @throws PolicyError MalformedPolicyDocument; AwsError LimitExceeded beyond 2,048 characters.
 */
function parseTrust (text: string, world: World): PolicyDocument {
  const document = parsePolicyDocument(text, 'trust')
  if (countedCharacters(text) > quotas.trustCharacters) {
    throw limitExceeded(`Cannot exceed quota for ACLSizePerRole: ${quotas.trustCharacters}`)
  }
  return resolvePrincipals(document, world.findUniqueId)
}

function roleTree (role: Role, world: World): Tree {
  return {
    Path: role.path,
    RoleName: role.name,
    RoleId: role.id,
    Arn: role.arn,
    CreateDate: new Date(role.createdAtMs),
    AssumeRolePolicyDocument: encodedDocument(renderDocument(role.trust, world.findArn)),
    Description: role.description ?? undefined,
    MaxSessionDuration: role.maxSessionSeconds
  }
}

function fullTree (role: Role, world: World): Tree {
  return {
    ...roleTree(role, world),
    PermissionsBoundary: boundaryTree(role.boundary),
    Tags: role.tags.size === 0 ? undefined : tagList(role.tags),
    RoleLastUsed: {}
  }
}
