import { parsePolicyDocument } from '../authorization/document.ts'
import type { ManagedPolicy } from './records.ts'

const documents: Readonly<Record<string, object>> = {
  AdministratorAccess: { Effect: 'Allow', Action: '*', Resource: '*' },
  PowerUserAccess: { Effect: 'Allow', NotAction: ['iam:*', 'organizations:*', 'account:*'], Resource: '*' },
  ReadOnlyAccess: {
    Effect: 'Allow',
    Action: [
      'ec2:Describe*', 'ec2:Get*', 'iam:Get*', 'iam:List*', 'route53:Get*', 'route53:List*',
      's3:Get*', 's3:List*', 'sts:GetCallerIdentity'
    ],
    Resource: '*'
  },
  AmazonEC2FullAccess: { Effect: 'Allow', Action: 'ec2:*', Resource: '*' },
  AmazonEC2ReadOnlyAccess: { Effect: 'Allow', Action: ['ec2:Describe*', 'ec2:Get*'], Resource: '*' },
  IAMFullAccess: { Effect: 'Allow', Action: 'iam:*', Resource: '*' },
  IAMReadOnlyAccess: { Effect: 'Allow', Action: ['iam:Get*', 'iam:List*', 'iam:Simulate*'], Resource: '*' },
  AmazonRoute53ReadOnlyAccess: { Effect: 'Allow', Action: ['route53:Get*', 'route53:List*'], Resource: '*' },
  AmazonS3FullAccess: { Effect: 'Allow', Action: 's3:*', Resource: '*' },
  AmazonS3ReadOnlyAccess: { Effect: 'Allow', Action: ['s3:Get*', 's3:List*', 's3:Describe*'], Resource: '*' }
}

/** The policies of AWS that exist here: their names and ARNs are AWS's, their contents the emulated part. */
export function awsManagedPolicies (createdAtMs: number): readonly ManagedPolicy[] {
  return Object.entries(documents).map(([name, statement], index) => {
    const text = JSON.stringify({ Version: '2012-10-17', Statement: [statement] })
    return {
      name,
      path: '/',
      id: `ANPAEMULATEDAWS${String(index).padStart(6, 'A').replaceAll(/[01]/g, 'Z')}`,
      arn: `arn:aws:iam::aws:policy/${name}`,
      description: null,
      createdAtMs,
      updatedAtMs: createdAtMs,
      versions: [{ id: 'v1', text, document: parsePolicyDocument(text, 'identity'), createdAtMs }],
      defaultVersion: 'v1',
      versionsMade: 1,
      tags: new Map()
    }
  })
}
