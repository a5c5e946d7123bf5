import t from 'tap'
import { PolicyError, type PolicyDocument } from '../../../src/emulator/authorization/document.ts'
import {
  decideTrust, judgeTrust, namesPrincipalDirectly, renderDocument, resolvePrincipals, type PrincipalView
} from '../../../src/emulator/authorization/trust.ts'
import { contextOf, policyOf } from './policies.ts'

const roleArn = 'arn:aws:iam::111111111111:role/team/Ops'
const roleId = 'AROAAAAAAAAAAAAAAAAAA'
const session: PrincipalView = {
  kind: 'role-session', accountId: '111111111111', arn: 'arn:aws:sts::111111111111:assumed-role/Ops/run-1', roleArn, uniqueId: roleId
}
const user: PrincipalView = {
  kind: 'user', accountId: '111111111111', arn: 'arn:aws:iam::111111111111:user/ann', uniqueId: 'AIDAAAAAAAAAAAAAAAAAA'
}
const root: PrincipalView = { kind: 'root', accountId: '111111111111', arn: 'arn:aws:iam::111111111111:root' }
const provider = 'arn:aws:iam::111111111111:oidc-provider/issuer.example.com'
const webIdentity: PrincipalView = { kind: 'web-identity', accountId: '', arn: '', providerArn: provider }
const ec2: PrincipalView = { kind: 'service', accountId: '', arn: 'ec2.amazonaws.com' }

function trusting (principal: unknown, more: object = {}): PolicyDocument {
  return policyOf('trust', { Effect: 'Allow', Principal: principal, Action: 'sts:AssumeRole', ...more })
}

function naming (principal: unknown, caller: PrincipalView, action = 'sts:AssumeRole'): string | null {
  const more = { Action: ['sts:AssumeRole', 'sts:AssumeRoleWithWebIdentity'] }
  return judgeTrust({ action, document: trusting(principal, more), principal: caller, context: contextOf({}) }).names
}

t.test('a principal is matched in every form that AWS knows', async (t) => {
  for (const account of ['111111111111', 'arn:aws:iam::111111111111:root']) {
    for (const caller of [session, user, root]) t.equal(naming({ AWS: account }, caller), 'account')
    t.equal(naming({ AWS: account }, webIdentity), null)
  }
  t.equal(naming({ AWS: '222222222222' }, session), null)
  t.equal(naming({ AWS: roleArn }, session), 'role')
  t.equal(naming({ AWS: roleId }, session), 'role')
  t.equal(naming({ AWS: session.arn }, session), 'session')
  t.equal(naming({ AWS: session.arn }, { ...session, arn: `${session.arn}0` }), null, 'another session')
  t.equal(naming({ AWS: user.arn }, user), 'user')
  t.equal(naming({ AWS: user.uniqueId }, user), 'user')
  t.equal(naming({ AWS: user.arn }, session), null)
  t.equal(naming('*', session), 'everyone')
  t.equal(naming({ AWS: ['*', roleArn, '111111111111'] }, session), 'everyone', 'the closest of several')
  t.equal(naming({ AWS: ['111111111111', roleArn] }, session), 'role')
  t.equal(naming('*', webIdentity), null, '`*` is everyone with AWS credentials')
  t.equal(naming({ Federated: provider }, webIdentity, 'sts:AssumeRoleWithWebIdentity'), 'provider')
  t.equal(naming({ Federated: `${provider}2` }, webIdentity, 'sts:AssumeRoleWithWebIdentity'), null)
  t.equal(naming({ Service: 'ec2.amazonaws.com' }, ec2), 'provider')
  t.equal(naming({ Service: 'ecs.amazonaws.com' }, ec2), null)
})

t.test('a trust policy allows only with its conditions, and never without the external id', async (t) => {
  const document = trusting({ AWS: '111111111111' }, { Condition: { StringEquals: { 'sts:ExternalId': 'acct@int' } } })
  const ask = (keys: Record<string, string>, action = 'sts:AssumeRole') =>
    decideTrust({ action, document, principal: session, context: contextOf(keys) })
  t.equal(ask({ 'sts:ExternalId': 'acct@int' }), 'allow')
  t.equal(ask({ 'sts:ExternalId': 'ACCT@int' }), 'none')
  t.equal(ask({}), 'none')
  t.equal(ask({ 'sts:ExternalId': 'acct@int' }, 'sts:TagSession'), 'none', 'tags need an action of their own')
})

t.test('a deny in a trust policy wins over every allow', async (t) => {
  const document = policyOf('trust',
    { Effect: 'Allow', Principal: '*', Action: 'sts:*' },
    { Effect: 'Deny', Principal: { AWS: '111111111111' }, Action: 'sts:AssumeRole', Condition: { StringLike: { 'sts:RoleSessionName': 'evil*' } } })
  const ask = (name: string) => decideTrust({
    action: 'sts:AssumeRole', document, principal: session, context: contextOf({ 'sts:RoleSessionName': name })
  })
  t.equal(ask('evil-1'), 'deny')
  t.equal(ask('good-1'), 'allow')
})

t.test('only the user, role, session or provider itself is named directly', async (t) => {
  t.ok(namesPrincipalDirectly(trusting({ AWS: roleArn }), session))
  t.ok(namesPrincipalDirectly(trusting({ AWS: session.arn }), session))
  t.notOk(namesPrincipalDirectly(trusting({ AWS: '111111111111' }), session))
  t.notOk(namesPrincipalDirectly(trusting('*'), session))
  t.notOk(namesPrincipalDirectly(trusting({ AWS: roleArn }, { Effect: 'Deny' }), session))
})

t.test('a role that is deleted and made again does not inherit the trust', async (t) => {
  const stored = resolvePrincipals(trusting({ AWS: [roleArn, '222222222222'] }), (arn) => arn === roleArn ? roleId : null)
  const ask = (uniqueId: string) => decideTrust({
    action: 'sts:AssumeRole', document: stored, principal: { ...session, uniqueId }, context: contextOf({})
  })
  t.equal(ask(roleId), 'allow')
  t.equal(ask('AROABBBBBBBBBBBBBBBBB'), 'none', 'same ARN, another id')
})

t.test('a stored trust policy is shown with ARNs, and with the bare id of one that is gone', async (t) => {
  const document = policyOf('trust',
    { Sid: 'One', Effect: 'Allow', Principal: { AWS: roleArn }, Action: 'sts:AssumeRole' },
    { Effect: 'Allow', Principal: { AWS: ['222222222222', '*', session.arn, user.arn], Service: 'ec2.amazonaws.com' }, Action: ['sts:AssumeRole'] })
  const ids: Record<string, string> = { [roleArn]: roleId, [user.arn]: 'AIDAAAAAAAAAAAAAAAAAA' }
  const stored = resolvePrincipals(document, (arn) => ids[arn] ?? null)
  const shown = (lookup: (id: string) => string | null): unknown => JSON.parse(renderDocument(stored, lookup))
  const statements = (first: string, last: string) => ({
    Version: '2012-10-17',
    Statement: [
      { Sid: 'One', Effect: 'Allow', Principal: { AWS: first }, Action: 'sts:AssumeRole' },
      {
        Effect: 'Allow',
        Principal: { AWS: ['arn:aws:iam::222222222222:root', '*', session.arn, last], Service: 'ec2.amazonaws.com' },
        Action: ['sts:AssumeRole']
      }
    ]
  })
  t.same(shown((id) => id === roleId ? roleArn : user.arn), statements(roleArn, user.arn))
  t.same(shown(() => null), statements(roleId, 'AIDAAAAAAAAAAAAAAAAAA'))
  t.match(JSON.parse(renderDocument(document, () => null)), { Statement: [{ Principal: { AWS: roleArn } }, {}] }, 'the document it came from is unchanged')
})

t.test('a principal that does not exist is refused when the trust policy is saved', async (t) => {
  const error = t.throws(() => resolvePrincipals(trusting({ AWS: [roleArn] }), () => null))
  t.ok(error instanceof PolicyError)
  t.match(error, { message: `Invalid principal in policy: "AWS":"${roleArn}"`, code: 'MalformedPolicyDocument' })
  t.throws(() => resolvePrincipals(trusting({ AWS: roleId }), () => null), { message: `Invalid principal in policy: "AWS":"${roleId}"` })
  t.doesNotThrow(() => resolvePrincipals(trusting({ AWS: ['111111111111', '*', session.arn] }), () => null))
})
