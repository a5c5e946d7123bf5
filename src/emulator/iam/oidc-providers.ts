import { AwsError, invalid, noSuchEntity } from '../aws-error.ts'
import type { Call, Operations } from '../call.ts'
import { readTexts } from '../http/params.ts'
import type { OidcProvider } from '../state/records.ts'
import { createProblems } from '../validation.ts'
import { mergeTags, readTags, rules } from './rules.ts'
import type { IamParts } from './parts.ts'
import { alreadyExists, tagList } from './subject.ts'

/** CreateOpenIDConnectProvider and what reads and removes it; its keys are fetched from loopback issuers only. */
export function createOidcProviderOperations ({ judge }: IamParts): Operations {
  return {
    CreateOpenIDConnectProvider (call) {
      const { params, caller: { account }, nowMs } = call
      const problems = createProblems()
      const url = problems.required(params, 'Url', rules.url)
      const tags = readTags(params, problems)
      problems.throwIfAny()
      if (!/^https?:\/\/[^\s?#]+$/.test(url)) throw invalid('Invalid Open ID Connect Provider URL')
      const host = hostOf(url)
      const arn = `arn:aws:iam::${account.id}:oidc-provider/${host}`
      judge.authorize(call, 'iam:CreateOpenIDConnectProvider', arn)
      if (account.oidcProviders.find(host) !== null) throw alreadyExists(`Provider with url ${url} already exists.`)
      account.oidcProviders.put(host, {
        arn,
        url,
        clientIds: readTexts(params, 'ClientIDList.member'),
        thumbprints: readTexts(params, 'ThumbprintList.member'),
        createdAtMs: nowMs,
        jwks: null,
        tags: mergeTags(new Map(), tags)
      })
      return { result: { OpenIDConnectProviderArn: arn, Tags: tagList(new Map(tags)) } }
    },

    GetOpenIDConnectProvider (call) {
      const { arn, provider } = readProvider(call)
      judge.authorize(call, 'iam:GetOpenIDConnectProvider', arn)
      const { url, clientIds, thumbprints, createdAtMs, tags } = requireProvider(arn, provider)
      return {
        result: {
          Url: hostOf(url),
          ClientIDList: clientIds,
          ThumbprintList: thumbprints,
          CreateDate: new Date(createdAtMs),
          Tags: tagList(tags)
        }
      }
    },

    ListOpenIDConnectProviders (call) {
      const { account } = call.caller
      judge.authorize(call, 'iam:ListOpenIDConnectProviders', `arn:aws:iam::${account.id}:oidc-provider/*`)
      return { result: { OpenIDConnectProviderList: account.oidcProviders.list().map(({ arn }) => ({ Arn: arn })) } }
    },

    DeleteOpenIDConnectProvider (call) {
      const { arn, provider } = readProvider(call)
      judge.authorize(call, 'iam:DeleteOpenIDConnectProvider', arn)
      call.caller.account.oidcProviders.remove(hostOf(requireProvider(arn, provider).url))
      return { result: {} }
    }
  }
}

/** An issuer's URL as ARNs and condition keys have it: without scheme and closing slash. */
export function hostOf (url: string): string {
  return url.replace(/^https?:\/\//, '').replace(/\/$/, '')
}

function readProvider ({ params, caller: { account } }: Call): { arn: string, provider: OidcProvider | null } {
  const problems = createProblems()
  const arn = problems.required(params, 'OpenIDConnectProviderArn', rules.arn)
  problems.throwIfAny()
  const prefix = `arn:aws:iam::${account.id}:oidc-provider/`
  if (!arn.startsWith(prefix)) throw new AwsError(400, 'InvalidInput', 'Invalid Open ID Connect Provider ARN')
  return { arn, provider: account.oidcProviders.find(arn.slice(prefix.length)) }
}

function requireProvider (arn: string, provider: OidcProvider | null): OidcProvider {
  if (provider === null) throw noSuchEntity(`OpenIDConnect Provider not found for arn ${arn}`)
  return provider
}
