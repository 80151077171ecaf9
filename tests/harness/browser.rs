//! A browser without scripts: curl with a cookie jar, and the forms of the pages that it gets.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::skip::skip;

/// A page, after all redirects.
#[derive(Clone, Debug)]
pub struct WebPage {
    /// The status.
    pub status: u16,
    /// Its URL.
    pub url: String,
    /// Its text.
    pub text: String,
}

/// A form of a page.
#[derive(Debug)]
pub struct WebForm {
    /// Where it is sent.
    pub action: String,
    /// The fields that the page has filled in, hidden ones included. Fields for a person are empty.
    pub fields: Vec<(String, String)>,
}

/// A browser with its own cookies.
#[derive(Debug)]
pub struct Browser {
    jar: PathBuf,
    authorities: PathBuf,
}

impl Browser {
    /// Opens a browser that trusts the authorities in these files, with its cookies in a new file of `directory`;
    /// `None` if curl is not installed, and the skip is recorded.
    ///
    /// # Panics
    /// If a file cannot be read or written.
    pub fn open(directory: &Path, name: &str, trusted: &[&Path]) -> Option<Self> {
        if Command::new("curl").arg("--version").output().is_err() {
            skip("curl", "a browser: curl is not installed");
            return None;
        }
        let read = |path: &&Path| std::fs::read_to_string(path).expect("the authority can be read");
        let authorities = directory.join(format!("{name}-authorities.pem"));
        std::fs::write(&authorities, trusted.iter().map(read).collect::<String>()).expect("a file");
        Some(Self { jar: directory.join(format!("{name}-cookies")), authorities })
    }

    /// Opens a URL.
    ///
    /// # Panics
    /// If there is no response.
    pub fn get(&self, url: &str) -> WebPage {
        self.curl(url, &[])
    }

    /// Sends a form.
    ///
    /// # Panics
    /// If there is no response.
    pub fn post(&self, form: &WebForm) -> WebPage {
        let fields: Vec<_> = form.fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let pairs = fields.iter().flat_map(|field| ["--data-urlencode", field]);
        self.curl(&form.action, &pairs.collect::<Vec<_>>())
    }

    /// Returns whether it has a cookie of this name.
    pub fn has_cookie(&self, name: &str) -> bool {
        let jar = std::fs::read_to_string(&self.jar).unwrap_or_default();
        jar.lines().any(|line| line.split('\t').nth(5) == Some(name))
    }

    /// Opens `url` and fills in the forms of an identity provider until there is none left: the name of the person, any
    /// password, and consent.
    ///
    /// # Panics
    /// If there is no response, or the forms do not end.
    pub fn log_in(&self, url: &str, person: &str) -> WebPage {
        let mut page = self.get(url);
        for _ in 0..10 {
            let Some(mut form) = page.form() else { return page };
            for (name, value) in &mut form.fields {
                match name.as_str() {
                    "login" => person.clone_into(value),
                    "password" => "any password".clone_into(value),
                    _ => {}
                }
            }
            page = self.post(&form);
        }
        panic!("the provider asks again and again: {page:?}");
    }

    fn curl(&self, url: &str, more: &[&str]) -> WebPage {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--location", "--max-redirs", "20", "--max-time", "30"]);
        command.arg("--cookie").arg(&self.jar).arg("--cookie-jar").arg(&self.jar);
        command.arg("--cacert").arg(&self.authorities);
        command.args(["--write-out", "\n%{http_code} %{url_effective}"]).args(more).arg(url);
        let said = command.output().expect("curl runs");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.status.success(), "{url}: {}\n{text}", String::from_utf8_lossy(&said.stderr));
        let (text, last) = text.rsplit_once('\n').expect("curl writes the status");
        let (status, url) = last.split_once(' ').expect("curl writes the URL");
        WebPage { status: status.parse().expect("a number"), url: url.to_owned(), text: text.to_owned() }
    }
}

impl WebPage {
    /// Returns the first form that is sent by POST.
    pub fn form(&self) -> Option<WebForm> {
        let mut forms = self.text.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap_or(rest));
        let form = forms.find(|form| attribute(form, "method").is_some_and(|method| method == "post"))?;
        let inputs = form.split("<input").skip(1);
        let field = |input: &str| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default()));
        Some(WebForm { action: attribute(form, "action")?, fields: inputs.filter_map(field).collect() })
    }
}

/// Returns the value of an attribute of the tag that the text begins in.
fn attribute(text: &str, name: &str) -> Option<String> {
    let tag = text.split('>').next()?;
    let value = tag.split_once(&format!(" {name}=\""))?.1;
    value.split('"').next().map(|value| value.replace("&amp;", "&"))
}
