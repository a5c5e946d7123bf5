import { judgeTrust } from '../authorization/trust.ts'
import { AwsError, denied, invalid } from '../aws-error.ts'
import type { Answer, UnsignedCall } from '../call.ts'
import type { TrustTarget } from '../judge.ts'
import { requestTagKeys, unsignedContext, type ExtraKeys } from '../request-context.ts'
import type { OidcProvider, Role } from '../state/records.ts'
import type { Account } from '../state/world.ts'
import { createProblems, obeys } from '../validation.ts'
import { credentialsTree, findTarget, issuedElements, sizeTree, wholeSeconds, type StsParts } from './assume-role.ts'
import { noKey, type IssuerKeys } from './issuer-keys.ts'
import { findToken, isSignedBy, type ParsedToken } from './json-web-token.ts'
import { rules, tagsMax } from './rules.ts'
import { checkPolicyArns, checkSessionContent, readSessionContent, type SessionContent, type TagList } from './session-content.ts'

const defaultSeconds = 3600
const tagsClaim = 'https://aws.amazon.com/tags'
const sourceIdentityClaim = 'https://aws.amazon.com/source_identity'

/** AssumeRoleWithWebIdentity: no signature; the token is the proof, and brings tags and source identity. */
export function createAssumeRoleWithWebIdentity (
  { world, sessions, judge, issuerKeys }: StsParts & { readonly issuerKeys: IssuerKeys }
): (call: UnsignedCall) => Promise<Answer> {
  return async (call) => {
    const { params, region, nowMs } = call
    const problems = createProblems()
    const roleArn = problems.required(params, 'RoleArn', rules.roleArn)
    const sessionName = problems.required(params, 'RoleSessionName', rules.sessionName)
    const tokenText = problems.required(params, 'WebIdentityToken', rules.webIdentityToken)
    problems.text(params, 'ProviderId', rules.providerId)
    const durationSeconds = problems.number(params, 'DurationSeconds', rules.roleSeconds) ?? defaultSeconds
    const { policy, policyArns, tokenBytesMin } = readSessionContent(params, problems)
    problems.throwIfAny()
    const target = findTarget(world, roleArn, region)
    const token = findToken(tokenText)
    if (token === null) throw badToken('The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)')
    const issuer = typeof token.claims.iss === 'string' ? token.claims.iss : ''
    const { account, provider } = findProvider(target, issuer, region)
    await checkSignature(token, provider, issuerKeys)
    checkClaims(token, provider, nowMs)
    const content: SessionContent = { policy, policyArns, tokenBytesMin, ...tagsOf(token) }
    checkSessionContent(content, null, judge)
    const sourceIdentity = sourceIdentityOf(token)
    const role = authorize(call, target, { token, provider, content, sourceIdentity, sessionName })
    if (durationSeconds > role.maxSessionSeconds) {
      throw invalid('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
    }
    checkPolicyArns(content, account.id, region, world)

    const issuedAtMs = wholeSeconds(nowMs)
    const issued = sessions.issue({
      kind: 'role',
      accountId: account.id,
      holderName: role.name,
      holderId: role.id,
      name: sessionName,
      issuedAtMs,
      expiresAtMs: issuedAtMs + durationSeconds * 1000,
      sourceIdentity,
      mfaAtMs: null,
      federatedProvider: provider.arn,
      policy,
      policyArns,
      tags: content.tags,
      transitiveTagKeys: content.transitiveTagKeys
    }, tokenBytesMin)
    const assumedRoleId = `${role.id}:${sessionName}`
    const arn = `arn:aws:sts::${account.id}:assumed-role/${role.name}/${sessionName}`
    return {
      result: {
        Credentials: credentialsTree(issued),
        SubjectFromWebIdentityToken: textClaim(token, 'sub') ?? '',
        AssumedRoleUser: { AssumedRoleId: assumedRoleId, Arn: arn },
        ...sizeTree(issued),
        Provider: provider.arn,
        Audience: audiencesOf(token)[0] ?? '',
        SourceIdentity: sourceIdentity ?? undefined
      },
      notes: {
        responseElements: {
          ...issuedElements(issued),
          assumedRoleUser: { assumedRoleId, arn },
          subjectFromWebIdentityToken: textClaim(token, 'sub'),
          provider: provider.arn,
          audience: audiencesOf(token)[0]
        },
        sharedWithAccountId: account.id
      }
    }
  }
}

function badToken (message: string): AwsError {
  return new AwsError(400, 'InvalidIdentityToken', message)
}

function findProvider (
  { account }: TrustTarget, issuer: string, region: string
): { readonly account: Account, readonly provider: OidcProvider } {
  const provider = account?.oidcProviders.findFrom(region, issuer.replace(/^https?:\/\//, '').replace(/\/$/, '')) ?? null
  if (account === null || provider === null || provider.url.replace(/\/$/, '') !== issuer.replace(/\/$/, '')) {
    throw badToken(`No OpenIDConnect provider found in your account for ${issuer.slice(0, 255)}`)
  }
  return { account, provider }
}

async function checkSignature (token: ParsedToken, provider: OidcProvider, issuerKeys: IssuerKeys): Promise<void> {
  let verdict = isSignedBy(await issuerKeys.read(provider, false), token)
  if (verdict === null && issuerKeys.isFetched(provider)) {
    verdict = isSignedBy(await issuerKeys.read(provider, true), token)
  }
  if (verdict === null) throw noKey()
  if (!verdict) throw badToken('Provided Token\'s signature could not be verified')
}

function checkClaims (token: ParsedToken, provider: OidcProvider, nowMs: number): void {
  const { exp, nbf, iat } = token.claims
  const nowSeconds = Math.floor(nowMs / 1000)
  if (typeof exp !== 'number' || typeof iat !== 'number' || textClaim(token, 'sub') === null) {
    throw badToken('Missing a required claim')
  }
  if (exp <= nowSeconds) {
    throw new AwsError(400, 'ExpiredTokenException', `Token expired: current date/time ${nowSeconds} must be before the expiration date/time ${Math.floor(exp)}`)
  }
  const leewaySeconds = 300
  if ((typeof nbf === 'number' && nbf > nowSeconds + leewaySeconds) || iat > nowSeconds + leewaySeconds) {
    throw badToken('The web identity token is not valid yet')
  }
  if (!audiencesOf(token).some((audience) => provider.clientIds.includes(audience))) {
    throw badToken('Incorrect token audience')
  }
}

function audiencesOf ({ claims: { azp, aud } }: ParsedToken): readonly string[] {
  if (typeof azp === 'string') return [azp]
  return [aud].flat().filter((one) => typeof one === 'string')
}

function textClaim ({ claims }: ParsedToken, name: string): string | null {
  const value = claims[name]
  return typeof value === 'string' ? value : null
}

/** `{ principal_tags: { k: ['v'] }, transitive_tag_keys: ['k'] }` of the token. */
function tagsOf ({ claims }: ParsedToken): { readonly tags: TagList, readonly transitiveTagKeys: readonly string[] } {
  const claim = claims[tagsClaim]
  if (typeof claim !== 'object' || claim === null) return { tags: [], transitiveTagKeys: [] }
  const given = 'principal_tags' in claim ? claim.principal_tags : null
  const tags = Object.entries(typeof given === 'object' && given !== null ? given : {})
    .map(([key, values]) => [key, String([values].flat()[0] ?? '')] as const)
  const isGood = ([key, value]: readonly [string, string]) => obeys(rules.tagKey, key) && obeys(rules.tagValue, value)
  if (tags.length > tagsMax || !tags.every(isGood)) throw badToken('The session tags of the token are not valid')
  const keys = 'transitive_tag_keys' in claim && Array.isArray(claim.transitive_tag_keys) ? claim.transitive_tag_keys : []
  return { tags, transitiveTagKeys: keys.map(String) }
}

function sourceIdentityOf (token: ParsedToken): string | null {
  const value = textClaim(token, sourceIdentityClaim)
  if (value !== null && (!obeys(rules.sourceIdentity, value) || value.startsWith('aws:'))) {
    throw badToken('The source identity of the token is not valid')
  }
  return value
}

interface Identity {
  readonly token: ParsedToken
  readonly provider: OidcProvider
  readonly content: SessionContent
  readonly sourceIdentity: string | null
  readonly sessionName: string
}

function authorize (
  call: UnsignedCall, { role }: TrustTarget, { token, provider, content, sourceIdentity, sessionName }: Identity
): Role {
  const host = provider.arn.slice(provider.arn.indexOf('oidc-provider/') + 'oidc-provider/'.length)
  const texts = (value: unknown) => [value ?? []].flat().map(String)
  const common: ExtraKeys = {
    [`${host}:sub`]: texts(token.claims.sub),
    [`${host}:aud`]: audiencesOf(token),
    [`${host}:amr`]: texts(token.claims.amr),
    'aws:FederatedProvider': [provider.arn],
    'aws:PrincipalType': ['WebIdentityUser']
  }
  const tagKeys: ExtraKeys = { ...requestTagKeys(content.tags), 'sts:TransitiveTagKeys': content.transitiveTagKeys }
  const source: ExtraKeys = { 'sts:SourceIdentity': sourceIdentity === null ? [] : [sourceIdentity] }
  const questions: [string, ExtraKeys][] = [
    ['sts:AssumeRoleWithWebIdentity', { ...common, ...tagKeys, ...source, 'sts:RoleSessionName': [sessionName] }],
    ...content.tags.length === 0 ? [] : [['sts:TagSession', { ...common, ...tagKeys }] satisfies [string, ExtraKeys]],
    ...sourceIdentity === null ? [] : [['sts:SetSourceIdentity', { ...common, ...source }] satisfies [string, ExtraKeys]]
  ]
  for (const [action, keys] of questions) {
    const effect = role === null ? 'none' : judgeTrust({
      action,
      document: role.trust,
      principal: { kind: 'web-identity', accountId: '', arn: provider.arn, providerArn: provider.arn },
      context: unsignedContext(call, keys)
    }).effect
    if (effect !== 'allow') throw denied(`Not authorized to perform ${action}`)
  }
  if (role === null) throw denied('Not authorized to perform sts:AssumeRoleWithWebIdentity')
  return role
}
