//! Users who are elsewhere: in an LDAP directory, or with a partner who vouches for them by SAML.

use std::io;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Realm, SECRET, admin};
use crate::directory::{Directory, SUFFIX};

const MAPPER: &str = "org.keycloak.storage.ldap.mappers.LDAPStorageMapper";

// === impl Realm ===

impl Realm {
    /// Has the realm know the people of `directory`, with their groups.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn federate(&self, directory: &Directory) -> io::Result<()> {
        let config = json!({
            "vendor": ["other"], "connectionUrl": [directory.url()], "authType": ["simple"], "bindDn": [format!("cn=admin,{SUFFIX}")],
            "bindCredential": [SECRET], "usersDn": [format!("ou=people,{SUFFIX}")], "usernameLDAPAttribute": ["uid"], "rdnLDAPAttribute": ["uid"],
            "uuidLDAPAttribute": ["entryUUID"], "userObjectClasses": ["inetOrgPerson"], "editMode": ["READ_ONLY"], "importEnabled": ["true"],
            "enabled": ["true"], "searchScope": ["1"], "trustEmail": ["true"], "cachePolicy": ["DEFAULT"],
        });
        let provider =
            json!({ "name": "directory", "providerId": "ldap", "providerType": "org.keycloak.storage.UserStorageProvider", "config": config });
        self.admin(Method::POST, "components", Some(&provider)).await?;
        let found = self.admin(Method::GET, "components?name=directory", None).await?;
        let parent = admin::text(found.get(0).unwrap_or(&Value::Null), "id")?;
        let config = json!({
            "groups.dn": [format!("ou=groups,{SUFFIX}")], "group.name.ldap.attribute": ["cn"], "group.object.classes": ["groupOfNames"],
            "membership.ldap.attribute": ["member"], "membership.attribute.type": ["DN"], "membership.user.ldap.attribute": ["uid"],
            "preserve.group.inheritance": ["false"], "mode": ["READ_ONLY"], "user.roles.retrieve.strategy": ["LOAD_GROUPS_BY_MEMBER_ATTRIBUTE"],
            "drop.non.existing.groups.during.sync": ["false"], "groups.path": ["/"],
        });
        let mapper = json!({ "name": "groups", "providerId": "group-ldap-mapper", "providerType": MAPPER, "parentId": parent, "config": config });
        self.admin(Method::POST, "components", Some(&mapper)).await.map(|_| ())
    }

    /// Has the realm believe `partner`, as the provider `partner`, about its own people by SAML: each becomes a member of `partners`, and who has the
    /// role `guest-engineer` there has `engineer` here.
    ///
    /// # Errors
    /// When Keycloak refuses.
    pub async fn broker(&self, partner: &Self) -> io::Result<()> {
        let ours = format!("{}/broker/partner/endpoint", self.issuer());
        let property = |name: &str| {
            let config = json!({ "user.attribute": name, "attribute.name": name, "attribute.nameformat": "Basic" });
            json!({ "name": name, "protocol": "saml", "protocolMapper": "saml-user-property-mapper", "config": config })
        };
        let mappers = ["email", "firstName", "lastName"].map(property);
        let client = json!({
            "clientId": self.issuer(), "protocol": "saml", "enabled": true, "redirectUris": [ours], "fullScopeAllowed": true, "frontchannelLogout": true,
            "attributes": {
                "saml.client.signature": "false", "saml.server.signature": "true", "saml.assertion.signature": "true", "saml.authnstatement": "true",
                "saml.force.post.binding": "true", "saml_force_name_id_format": "true", "saml_name_id_format": "username",
            },
            "protocolMappers": mappers,
        });
        partner.admin(Method::POST, "clients", Some(&client)).await?;

        let descriptor = json!({ "providerId": "saml", "fromUrl": format!("{}/protocol/saml/descriptor", partner.issuer()) });
        let mut config = self.admin(Method::POST, "identity-provider/import-config", Some(&descriptor)).await?;
        let change = json!({
            "entityId": self.issuer(), "validateSignature": "true", "wantAssertionsSigned": "true", "wantAuthnRequestsSigned": "false",
            "principalType": "SUBJECT", "nameIDPolicyFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified", "syncMode": "FORCE",
            "postBindingAuthnRequest": "true", "postBindingResponse": "true",
        });
        admin::merge(&mut config, &change);
        let provider = json!({ "alias": "partner", "providerId": "saml", "enabled": true, "trustEmail": true, "config": config });
        self.admin(Method::POST, "identity-provider/instances", Some(&provider)).await?;
        let attribute = |name: &str| {
            let config = json!({ "syncMode": "INHERIT", "attribute.name": name, "user.attribute": name });
            json!({ "name": name, "identityProviderAlias": "partner", "identityProviderMapper": "saml-user-attribute-idp-mapper", "config": config })
        };
        let role = json!({ "syncMode": "INHERIT", "attribute.name": "Role", "attribute.value": "guest-engineer", "role": "engineer" });
        let group = json!({ "syncMode": "INHERIT", "group": "/partners" });
        let mappers = [
            attribute("email"),
            attribute("firstName"),
            attribute("lastName"),
            json!({ "name": "role", "identityProviderAlias": "partner", "identityProviderMapper": "saml-role-idp-mapper", "config": role }),
            json!({ "name": "group", "identityProviderAlias": "partner", "identityProviderMapper": "oidc-hardcoded-group-idp-mapper", "config": group }),
        ];
        for mapper in &mappers {
            self.admin(Method::POST, "identity-provider/instances/partner/mappers", Some(mapper)).await?;
        }
        Ok(())
    }
}
